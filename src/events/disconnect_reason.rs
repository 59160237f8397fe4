//! The reasons why a stream ended, as `GET /api/events/status` reports them.

use crate::domain::schema::word_enum;

word_enum! {
    /// Why a stream ended.
    DisconnectReason {
        /// the client closed the connection
        Closed = "closed",
        /// the client, or something on the way, broke it off
        Reset = "reset",
        /// the client took nothing for too long: 25 seconds, or 50 when its buffers were full
        TimedOut = "timed_out",
        /// the hub said goodbye
        Drained = "drained",
        /// its token was revoked or has expired, or the hub has begun to ask for one
        Revoked = "revoked",
        /// it could not be read on
        Failed = "failed",
        /// retention has removed an event that was half sent
        Overtaken = "overtaken",
        /// it had not ended in time when the hub stopped
        CutOff = "cut_off",
    }
}
