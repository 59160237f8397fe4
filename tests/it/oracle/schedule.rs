//! A schedule: everything that is decided by its seed, before anything runs. What the hub and the kernel make
//! of it is different each time; a failing seed fails often, not always.

use super::filter::Filter;
use super::random::Random;

/// Where the hub runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process; a crash is an image of its files.
    InProcess,
    /// The binary; a crash is kill -9.
    Binary,
}

#[derive(Debug, Clone)]
pub struct Schedule {
    pub place: Place,
    pub hub: HubPlan,
    pub lives: Vec<LifePlan>,
    pub writers: Vec<WriterPlan>,
    pub observers: Vec<ObserverPlan>,
}

#[derive(Debug, Clone)]
pub struct HubPlan {
    pub ring_events_max: u64,
    pub ring_bytes_max: Option<u64>,
    pub retain_events_max: Option<u64>,
    pub retention_period_ms: u64,
    pub half_sent_ms_max: u64,
    /// How long a second of a lease lasts, in this process: the shortest lease is over before the schedule.
    pub lease_second_ms: u64,
    /// How far the clock goes on with every acknowledged change, in this process: for the deadlines of questions.
    pub change_ms: i64,
    /// With none, all streams go the way that is otherwise for the unusual ones.
    pub fanout_threads: u64,
    /// The seed of a disk that takes its time over the write-ahead log.
    pub slow_disk: Option<u64>,
}

/// One life of the hub.
#[derive(Debug, Clone, Copy)]
pub struct LifePlan {
    /// Changes acknowledged before it ends.
    pub changes: u64,
    /// And this much later, so that it ends anywhere in the work of a change.
    pub delay_us: u64,
    pub crashes: bool,
}

#[derive(Debug, Clone)]
pub struct WriterPlan {
    pub random: Random,
    /// Tasks there may be at once; few, so that writers collide.
    pub tasks_max: usize,
    /// How many in a hundred changes carry tens of kilobytes.
    pub heavy_percent: u64,
    /// How many in a hundred changes are followed by a pause.
    pub pause_percent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Sse,
    NamedSse,
    Ndjson,
    LongPoll,
}

#[derive(Debug, Clone)]
pub struct ObserverPlan {
    pub random: Random,
    pub transport: Transport,
    /// With prior knowledge.
    pub by_http2: bool,
    pub filter: Filter,
    /// Adds some of the tasks that there are by then to the filter.
    pub by_task: bool,
    pub snapshot: bool,
    /// Begins with the oldest event rather than with what happens now.
    pub from_earliest: bool,
    /// How many in a hundred connections are cut.
    pub cut_percent: u64,
    /// How many in a hundred reads are put off.
    pub stall_percent: u64,
    pub stall_ms_max: u64,
    /// How long it stays away between two connections, at most.
    pub away_ms_max: u64,
    pub small_buffer: bool,
}

impl Schedule {
    pub fn new(seed: u64, place: Place) -> Self {
        let mut random = Random::new(seed);
        let weather = match random.between(0..=99) {
            0..=54 => Weather::Fair,
            55..=89 => Weather::Forgetful,
            _ => Weather::Flood,
        };
        let hub = HubPlan::new(&mut random, weather, place);
        let heavy_percent = if weather == Weather::Flood { 70 } else { 0 };
        let lives = (0..random.between(2..=4)).map(|_| life(&mut random)).collect();
        let tasks_max = random.between(1..=7) as usize;
        let pause_percent = *random.pick(&[0, 0, 10, 40]);
        let writers = (0..random.between(1..=4))
            .map(|_| WriterPlan { random: random.fork(), tasks_max, heavy_percent, pause_percent })
            .collect();
        let observers =
            (0..random.between(3..=8)).map(|number| observer(&mut random, number == 0, weather)).collect();
        Self { place, hub, lives, writers, observers }
    }
}

/// What kind of trouble a schedule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// The log keeps little, so that who stays away is overtaken by retention.
    Forgetful,
    /// Events are so large that they fill every buffer, so that even who stays connected is overtaken.
    Flood,
}

impl HubPlan {
    fn new(random: &mut Random, weather: Weather, place: Place) -> Self {
        let (ring_events_max, retain_events_max) = match weather {
            Weather::Fair => (random.between(4..=64), random.chance(20).then(|| random.between(8..=60))),
            // Retention leaves alone what the ring holds.
            Weather::Forgetful => (random.between(1..=8), Some(random.between(1..=15))),
            Weather::Flood => (random.between(1..=6), Some(random.between(1..=6))),
        };
        Self {
            ring_events_max,
            ring_bytes_max: random.chance(30).then(|| random.between(2_000..=60_000)),
            retain_events_max,
            retention_period_ms: random.between(2..=20),
            half_sent_ms_max: *random.pick(&[0, 60_000]),
            change_ms: *random.pick(&[0, 20, 100, 300]),
            lease_second_ms: random.between(4..=20),
            fanout_threads: *random.pick(&[0, 0, 1, 1, 2]),
            slow_disk: (place == Place::Binary && random.chance(70)).then(|| random.next()),
        }
    }
}

fn life(random: &mut Random) -> LifePlan {
    LifePlan {
        changes: random.between(3..=40),
        delay_us: random.between(0..=3000),
        crashes: random.chance(65),
    }
}

/// The first of them sees as much as one can.
fn observer(random: &mut Random, is_witness: bool, weather: Weather) -> ObserverPlan {
    let transports =
        [Transport::Sse, Transport::Sse, Transport::NamedSse, Transport::Ndjson, Transport::LongPoll];
    let transport = if is_witness { Transport::Sse } else { *random.pick(&transports) };
    let snapshot = !is_witness && transport != Transport::LongPoll && random.chance(40);
    let filter = match random.between(0..=99) {
        _ if is_witness => Filter::default(),
        0..=39 => Filter::default(),
        40..=69 => Filter::on_tasks(random),
        _ if snapshot => Filter::on_tasks(random),
        _ => Filter::on_events(random),
    };
    let is_flooded = weather == Weather::Flood;
    let stalls = !is_witness && random.chance(if is_flooded { 70 } else { 40 });
    ObserverPlan {
        random: random.fork(),
        transport,
        by_task: !is_witness && random.chance(15),
        filter,
        snapshot,
        from_earliest: is_witness || (!snapshot && random.chance(60)),
        cut_percent: if is_witness { 0 } else { *random.pick(&[0, 50, 90]) },
        stall_percent: if stalls { *random.pick(&[5, 30]) } else { 0 },
        stall_ms_max: random.between(1..=if is_flooded { 150 } else { 40 }),
        away_ms_max: *random.pick(&[0, 2, 20, 40]),
        small_buffer: stalls && random.chance(60),
        by_http2: !is_witness && random.chance(30),
    }
}
