//! The names of all metrics, and their one recorder.
//!
//! The recorder belongs to a hub, not to the process, so that two hubs in one test do not count
//! together.

mod latency;

pub use latency::Latency;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const REQUESTS: &str = "taskhub_http_requests_total";
const TOOL_CALLS: &str = "taskhub_mcp_tool_calls_total";
const IN_FLIGHT: &str = "taskhub_http_requests_in_flight";
const REQUEST_SECONDS: &str = "taskhub_http_request_duration_seconds";
const STREAMS: &str = "taskhub_streams";
const LOG_HEAD: &str = "taskhub_events_total";
const SENT_EVENTS: &str = "taskhub_stream_events_sent_total";
const SENT_BYTES: &str = "taskhub_stream_bytes_sent_total";
const DISCONNECTS: &str = "taskhub_stream_disconnects_total";
const STREAM_SECONDS: &str = "taskhub_stream_latency_seconds";
const LOG_STREAMS: &str = "taskhub_log_streams";
const LOG_TAILERS: &str = "taskhub_log_tailers";
const RING_EVENTS: &str = "taskhub_ring_events";
const RING_BYTES: &str = "taskhub_ring_bytes";
const LOST_LINES: &str = "taskhub_log_lines_lost_total";

const METADATA: Metadata<'static> = Metadata::new("taskhub", Level::INFO, None);

/// Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    stream_latency: Arc<Latency>,
    /// The metrics that every request changes, so that no request looks them up by name.
    in_flight: Gauge,
    request_seconds: Histogram,
    requests: Arc<RwLock<HashMap<(&'static str, u16), Counter>>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// A request that has not been answered yet.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
            .expect("the list of buckets is not empty")
            .build_recorder();
        let describe = |name: &'static str, unit: Option<Unit>, words: &'static str, counter: bool| {
            let (name, words) = (KeyName::from(name), SharedString::const_str(words));
            match counter {
                true => recorder.describe_counter(name, unit, words),
                false => recorder.describe_gauge(name, unit, words),
            }
        };
        describe(
            REQUESTS,
            None,
            "Requests answered, by method and status; a stream counts when it opens",
            true,
        );
        describe(TOOL_CALLS, None, "Calls of tools by agents, by how they ended", true);
        describe(IN_FLIGHT, None, "Requests that wait for their answer's head", false);
        describe(STREAMS, None, "Streams open now", false);
        describe(LOG_HEAD, None, "Events in the log, expired ones included", true);
        describe(SENT_EVENTS, None, "Events sent, over all streams", true);
        describe(SENT_BYTES, Some(Unit::Bytes), "Bytes sent, over all streams", true);
        describe(DISCONNECTS, None, "Streams that have ended, by reason", true);
        describe(LOG_STREAMS, None, "Streams of logs open now", false);
        describe(
            LOG_TAILERS,
            None,
            "Logs looked at for their streams: one for each that is followed and grows",
            false,
        );
        describe(
            LOST_LINES,
            None,
            "Lines of the hub's own log that nobody will read, by reason: standard error took none in time, or refused them",
            true,
        );
        describe(RING_EVENTS, None, "Events held in memory", false);
        describe(RING_BYTES, Some(Unit::Bytes), "Bytes of events held in memory", false);
        recorder.describe_histogram(
            REQUEST_SECONDS.into(),
            Some(Unit::Seconds),
            SharedString::const_str("Time to an answer's head"),
        );
        let handle = recorder.handle();
        Self {
            in_flight: recorder.register_gauge(&Key::from_static_name(IN_FLIGHT), &METADATA),
            request_seconds: recorder.register_histogram(&Key::from_static_name(REQUEST_SECONDS), &METADATA),
            requests: Arc::default(),
            recorder: Arc::new(recorder),
            handle,
            stream_latency: Arc::default(),
        }
    }

    pub fn request(&self, method: &'static str, status: u16, elapsed: Duration) {
        let known = self.requests.read().unwrap_or_else(|poison| poison.into_inner());
        match known.get(&(method, status)) {
            Some(counter) => counter.increment(1),
            None => {
                drop(known);
                let labels = vec![Label::new("method", method), Label::new("status", status.to_string())];
                let counter = self.recorder.register_counter(&Key::from_parts(REQUESTS, labels), &METADATA);
                counter.increment(1);
                let mut known = self.requests.write().unwrap_or_else(|poison| poison.into_inner());
                known.insert((method, status), counter);
            }
        }
        self.request_seconds.record(elapsed.as_secs_f64());
    }

    /// Counts a call of a tool. `outcome` is `ok` or the code of the refusal.
    pub fn tool_call(&self, tool: &'static str, outcome: &str) {
        let labels = vec![Label::new("tool", tool), Label::new("outcome", outcome.to_owned())];
        self.recorder.register_counter(&Key::from_parts(TOOL_CALLS, labels), &METADATA).increment(1);
    }

    /// Counts a request as in flight until what it returns is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    pub fn streams(&self, open: u64) {
        self.gauge(STREAMS, open);
    }

    pub fn head(&self, seq: u64) {
        self.total(LOG_HEAD, seq);
    }

    pub fn sent(&self, events: u64, bytes: u64) {
        self.total(SENT_EVENTS, events);
        self.total(SENT_BYTES, bytes);
    }

    pub fn disconnected(&self, reason: &'static str, streams: u64) {
        let key = Key::from_parts(DISCONNECTS, vec![Label::new("reason", reason)]);
        self.recorder.register_counter(&key, &METADATA).absolute(streams);
    }

    pub fn lost_lines(&self, reason: &'static str, lines: u64) {
        let key = Key::from_parts(LOST_LINES, vec![Label::new("reason", reason)]);
        self.recorder.register_counter(&key, &METADATA).absolute(lines);
    }

    pub fn logs(&self, watchers: u64, tailers: u64) {
        self.gauge(LOG_STREAMS, watchers);
        self.gauge(LOG_TAILERS, tailers);
    }

    pub fn ring(&self, events: u64, bytes: u64) {
        self.gauge(RING_EVENTS, events);
        self.gauge(RING_BYTES, bytes);
    }

    /// Adds the recorded measurements to the histograms. Call it every few seconds: until then the
    /// recorder keeps every single measurement.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Where the streams record how long events take from publication to a connection.
    pub fn stream_latency(&self) -> Arc<Latency> {
        self.stream_latency.clone()
    }

    /// All metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.upkeep();
        let words = "Time from publication to the hand-over to a client's connection, for the oldest event of each hand-over from memory";
        self.handle.render() + &self.stream_latency.render(STREAM_SECONDS, words)
    }

    fn gauge(&self, name: &'static str, value: u64) {
        let key = Key::from_static_name(name);
        self.recorder.register_gauge(&key, &METADATA).set(value as f64);
    }

    fn total(&self, name: &'static str, value: u64) {
        let key = Key::from_static_name(name);
        self.recorder.register_counter(&key, &METADATA).absolute(value);
    }
}
