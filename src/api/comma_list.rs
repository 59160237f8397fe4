//! Comma lists in a query: `status=todo,review`, and the same parameter given several times.

use std::borrow::Cow;
use std::str::FromStr;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};

use crate::domain::text::must_be_one_line;

/// Most values in one list. A filter compares every event with all of them.
const VALUES_MAX: usize = 100;

/// The values of a parameter, without the spaces around them. Refuses an empty value: a filter that
/// ignored it would match everything.
#[derive(Debug, Clone)]
pub struct CommaList<T>(pub Vec<T>);

impl<T> Default for CommaList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Type> Type for CommaList<T> {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("list_{}", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            items: Some(Box::new(T::schema_ref())),
            min_items: Some(1),
            max_items: Some(VALUES_MAX),
            ..MetaSchema::new("array")
        }))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<T: Type + FromStr<Err = String>> ParseFromParameter for CommaList<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::parse_from_parameters([text])
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(texts: I) -> ParseResult<Self> {
        let mut values = Vec::new();
        for text in texts {
            for part in text.as_ref().split(',').map(str::trim) {
                // Written in full, because poem-openapi gives strings an `is_empty` that always
                // answers no.
                if str::is_empty(part) {
                    return Err(ParseError::custom(
                        "has an empty value; leave the parameter out to filter nothing",
                    ));
                }
                // No list has values that a name could not be.
                must_be_one_line(part).map_err(ParseError::<Self>::custom)?;
                values.push(part.parse().map_err(ParseError::<Self>::custom)?);
            }
        }
        match values.len() > VALUES_MAX {
            true => Err(ParseError::custom(format!("holds more than {VALUES_MAX} values"))),
            false => Ok(Self(values)),
        }
    }
}

/// The values as a query parameter.
pub fn comma_list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Status;

    #[test]
    fn commas_and_repetition_mean_the_same() {
        let parse = |texts: &[&str]| CommaList::<Status>::parse_from_parameters(texts).map(|it| it.0);
        let both = vec![Status::Todo, Status::Done];
        assert_eq!(parse(&["todo,done"]).ok(), Some(both.clone()));
        assert_eq!(parse(&["todo", " done "]).ok(), Some(both));
        for odd in ["", " ", ",", "todo,", "todo,,done", "todo,nope", "to\u{2028}do"] {
            assert!(parse(&[odd]).is_err(), "{odd:?}");
        }
    }
}
