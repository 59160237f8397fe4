//! Reads `Range` and `If-Range`, for GET only (RFC 9110, sections 13.1.5 and 14.2).

use poem::Request;
use poem::http::header;

use super::permission::HeadOnly;

/// Which part of a log of `size` bytes a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// No existing byte: the answer is 416.
    Beyond,
}

/// `tag` is the current strong entity tag, with its quotes.
pub fn wanted(request: &Request, size: u64, tag: &str) -> Wanted {
    let headers = request.headers();
    let mut ranges = headers.get_all(header::RANGE).iter();
    let is_head = request.extensions().get::<HeadOnly>().is_some();
    let (false, Some(range), None) = (is_head, ranges.next(), ranges.next()) else {
        return Wanted::Whole;
    };
    // Accepts no date: the log grows several times a second, so a date is less exact than the tag.
    let mut conditions = headers.get_all(header::IF_RANGE).iter();
    if !conditions.all(|condition| condition.as_bytes() == tag.as_bytes()) {
        return Wanted::Whole;
    }
    range.to_str().map_or(Wanted::Whole, |range| part(range, size))
}

/// The first of several ranges that exists. A header that is no range of bytes counts as absent.
fn part(range: &str, size: u64) -> Wanted {
    let Some((unit, ranges)) = range.split_once('=') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut wanted = Wanted::Beyond;
    for range in ranges.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let Some((first, last)) = range.split_once('-') else {
            return Wanted::Whole;
        };
        let found = match (number(first), number(last)) {
            // The last `length` bytes.
            (None, Some(length)) if first.is_empty() => {
                (length > 0 && size > 0).then(|| (size - length.min(size), size.saturating_sub(1)))
            }
            (Some(first), None) if last.is_empty() => (first < size).then(|| (first, size - 1)),
            (Some(first), Some(last)) if first <= last => (first < size).then(|| (first, last.min(size - 1))),
            _ => return Wanted::Whole,
        };
        if let (Some((first, last)), Wanted::Beyond) = (found, wanted) {
            wanted = Wanted::Part(first, last);
        }
    }
    wanted
}

/// Parses digits only. A number that is too large becomes the largest one.
fn number(digits: &str) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        for (range, expected) in [
            ("bytes=0-4", Wanted::Part(0, 4)),
            ("bytes=5-", Wanted::Part(5, 9)),
            ("bytes=-3", Wanted::Part(7, 9)),
            ("bytes=-99", Wanted::Part(0, 9)),
            ("bytes=8-99999999999999999999999", Wanted::Part(8, 9)),
            ("Bytes = 0-0", Wanted::Part(0, 0)),
            ("bytes=20-, 1-2", Wanted::Part(1, 2)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=", Wanted::Beyond),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=a-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("1-2", Wanted::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(part("bytes=-1", 0), Wanted::Beyond);
    }

    #[test]
    fn a_part_of_something_else_is_the_whole() {
        let of = |is_head: bool, headers: &[(&str, &str)]| {
            let mut request = Request::builder().header("Range", "bytes=2-");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.finish();
            if is_head {
                request.extensions_mut().insert(HeadOnly);
            }
            wanted(&request, 10, "\"now\"")
        };
        assert_eq!(of(false, &[]), Wanted::Part(2, 9));
        assert_eq!(of(false, &[("If-Range", "\"now\"")]), Wanted::Part(2, 9));
        for other in ["\"then\"", "W/\"now\"", "Sun, 22 Jun 2025 10:00:00 GMT", "now", ""] {
            assert_eq!(of(false, &[("If-Range", other)]), Wanted::Whole, "{other}");
        }
        assert_eq!(of(true, &[]), Wanted::Whole);
    }
}
