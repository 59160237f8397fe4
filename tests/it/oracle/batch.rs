//! A batch: wishes that a writer sends together, all or none or each for itself, as JSON and as lines.
//!
//! Each of its wishes has a mark of its own, `[[writer.number.index]]`, and stands in the log of its writer like one that was
//! sent alone. So what holds of a change holds of an operation.

use std::ops::Range;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Client};

use super::wish::Wish;
use super::writer::Outcome;

#[derive(Debug, Clone)]
pub struct Batch {
    pub atomic: bool,
    /// One operation a line rather than a list in JSON.
    pub as_lines: bool,
    pub wishes: Vec<Wish>,
}

/// A batch that was sent, in the log of its writer.
#[derive(Debug)]
pub struct Sent {
    pub atomic: bool,
    /// Where its wishes stand.
    pub wishes: Range<usize>,
}

impl Batch {
    pub fn request(&self, client: &Client) -> RequestBuilder {
        let operations: Vec<Value> = self.wishes.iter().map(Wish::operation).collect();
        let path = "/api/tasks/batch";
        if !self.as_lines {
            let body = json!({ "atomic": self.atomic, "operations": operations });
            return client.request(Method::POST, path).json(&body);
        }
        let lines: String = operations.iter().map(|operation| format!("{operation}\n")).collect();
        let request = client.request(Method::POST, &format!("{path}?atomic={}", self.atomic));
        request.header(CONTENT_TYPE, "application/x-ndjson").body(lines)
    }

    /// What became of each wish.
    ///
    /// # Panics
    /// When the hub answers something that it should never answer.
    pub fn outcomes(&self, answer: &Answer) -> Vec<Outcome> {
        match answer.status {
            StatusCode::OK => {}
            status if status.is_client_error() && self.atomic => return self.all(|| Outcome::Refused),
            StatusCode::SERVICE_UNAVAILABLE => return self.all(|| Outcome::Refused),
            _ => panic!("complete: {self:?} was answered {answer:?}"),
        }
        let lines = || std::str::from_utf8(&answer.bytes).expect("UTF-8").lines();
        let results: Vec<Value> = match self.as_lines {
            true => lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(),
            false => answer.body["results"].as_array().expect("a list").clone(),
        };
        assert_eq!(results.len(), self.wishes.len(), "complete: {self:?} was answered {answer:?}");
        let outcome = |result: &Value| match result["status"].as_u64() {
            Some(200 | 201 | 204) => Outcome::Acknowledged(result["task"].clone()),
            Some(400..=499) if !self.atomic => Outcome::Refused,
            _ => panic!("complete: {self:?} was answered {answer:?}"),
        };
        results.iter().map(outcome).collect()
    }

    /// The same for each of its wishes.
    pub fn all(&self, outcome: impl Fn() -> Outcome) -> Vec<Outcome> {
        self.wishes.iter().map(|_| outcome()).collect()
    }
}
