//! Query parameters, as far as they are alike for every operation.

use poem::Request;

use super::compat;
use super::operation::Operation;
use super::problem::{Code, Problem};

/// A misspelt filter that is passed over would answer everything.
///
/// # Errors
/// A [`Problem`] that names the parameters there are.
pub fn refuse_unknown(request: &Request, operation: Option<&Operation>) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    let (false, Some(operation)) = (query.is_empty(), operation) else {
        return Ok(());
    };
    let known = &operation.query;
    let given: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let unknown = given
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| !known.contains(&name.as_str()) && !compat::is_known(request.uri().path(), name));
    let Some(name) = unknown else {
        return Ok(());
    };
    let name: String = name.chars().take(64).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let detail = format!("{name}: is not a parameter of this operation; it has {known}");
    Err(Problem::new(Code::InvalidParameter, detail).with_field(name))
}
