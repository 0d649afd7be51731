//! The rules of coherence as switches, so that a checker can turn one off and see that it is needed.

/// Which rules are in force: all of them, outside of tests. Configuration cannot reach this.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A null push, a lost lane: a new epoch voids all entries and flights.
    pub epochs: bool,
    /// A push for a key removes its entries.
    pub push_removes: bool,
    /// A push for a key makes its flights unstorable.
    pub push_detaches: bool,
    /// The PTTL that follows must agree with the value.
    pub ttl_agrees: bool,
    /// An entry's life is limited by its key's TTL.
    pub ttl_limits: bool,
    /// Lives are counted from the fetch's send time, not from its reply.
    pub from_send_time: bool,
    /// A write removes the key's entries when it is enqueued.
    pub write_removes: bool,
    /// A write makes the key's flights unstorable and unjoinable when it is enqueued.
    pub write_detaches: bool,
    /// Reads of a key with an unanswered write go behind it.
    pub pending: bool,
    /// A write removes and detaches again when its reply is applied. On a single lane this and the
    /// three rules above are two nets, either of which holds; writes by other connections and
    /// several lanes need both.
    pub write_ends: bool,
    /// A flight is joined only if it was appended after the client's last unanswered command.
    pub join_order: bool,
    /// Reads behind the client's own unanswered commands are not served from here.
    pub parking: bool,
    /// Hits need a stream confirmed within `max_staleness`.
    pub staleness: bool,
    // What follows is kept by those who use the near cache.
    /// FLUSHALL, FLUSHDB and SWAPDB of our own void everything at enqueue and at reply.
    pub own_epochs: bool,
    /// The reply to a command whose keys are unknown is withheld until its pushes are in.
    pub withhold: bool,
    /// Parked reads are sent ahead of the client's next command.
    pub parked_first: bool,
    /// What comes over other connections passes a fence on the lane.
    pub fences: bool,
    /// Reads after WATCH are not served from here.
    pub watch_bypasses: bool,
    /// No rule of coherence: sessions stop to ask for reads where these are parked in vain. Without it more
    /// are parked.
    pub gives_up: bool,
}

impl Rules {
    /// All in force.
    pub const ALL: Rules = Rules {
        epochs: true,
        push_removes: true,
        push_detaches: true,
        ttl_agrees: true,
        ttl_limits: true,
        from_send_time: true,
        write_removes: true,
        write_detaches: true,
        pending: true,
        write_ends: true,
        join_order: true,
        parking: true,
        staleness: true,
        own_epochs: true,
        withhold: true,
        parked_first: true,
        fences: true,
        watch_bypasses: true,
        gives_up: true,
    };
}
