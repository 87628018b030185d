use std::time::Duration;

/// Every bound of the way in. The defaults are RELIABILITY section 4's.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accept to the end of the RTMP handshake, TLS included; absolute, so sending slowly does not extend it.
    pub handshake_deadline: Duration,
    /// From accept to an admitted publish; absolute. Who is not admitted is gone by then: the last second (a tenth, when
    /// that is less) is kept for telling why.
    pub publish_deadline: Duration,
    /// A publisher that sends no media for this long is closed.
    pub idle: Duration,
    /// Unauthenticated connections of one IPv4 address or one IPv6 /64 at a time. One more takes the place of one that was
    /// refused already, or of the longest one when that is there for a second, or of one that has sent nothing yet; else it
    /// is closed at accept.
    pub unauthenticated_per_address: u32,
    /// The same for loopback addresses, where a proxy or the built-in test card may stand.
    pub unauthenticated_per_loopback: u32,
    /// Unauthenticated connections altogether; one more as above.
    pub unauthenticated_total: u32,
    /// Failed keys of one address in a minute before each further failure is answered late.
    pub failed_keys_per_minute: u32,
    /// How late.
    pub tarpit: Duration,
    /// Frames may come without their decoder configuration for this long.
    pub configuration_deadline: Duration,
    /// Pictures may come without a keyframe at the start for this long.
    pub keyframe_deadline: Duration,
    /// Media that comes faster than real time is held back and given a quarter faster than real time, but no more than this
    /// much of it; the oldest goes first, in whole groups of pictures, and the last group only for its bytes.
    pub burst_max: Duration,
    /// Payload bytes held back for the same reason.
    pub burst_bytes_max: usize,
    /// Items a feed holds for its readers; the oldest go first. At 60 fps with audio, 1,100 are 10 s.
    pub feed_units_max: usize,
    /// Payload bytes a feed holds.
    pub feed_bytes_max: usize,
    /// On stop, connections have this long to say goodbye.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(5),
            publish_deadline: Duration::from_secs(10),
            idle: Duration::from_secs(15),
            unauthenticated_per_address: 20,
            unauthenticated_per_loopback: 512,
            unauthenticated_total: 1024,
            failed_keys_per_minute: 10,
            tarpit: Duration::from_secs(1),
            configuration_deadline: Duration::from_secs(5),
            keyframe_deadline: Duration::from_secs(15),
            burst_max: Duration::from_secs(10),
            burst_bytes_max: 32 << 20,
            feed_units_max: 1100,
            feed_bytes_max: 32 << 20,
            goodbye: Duration::from_secs(3),
        }
    }
}
