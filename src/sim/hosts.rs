//! Hosts, the links between them, and what is on its way: parcels in the order of their arrival.
//!
//! A host is an address, 10.0.0.n; host 0, *here*, is nameless and has all others. A link joins two hosts; while
//! it is up and takes no time nothing travels at all, and an operation acts on both ends at once. Otherwise
//! every connection over it gets a [`wire`](super::wire), which sends parcels.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::decide::Menu;
use super::kernel::Kernel;
use super::trace::What;
use super::transitions::{Does, Rule};
use super::words::duration;
use crate::choice::{Alternatives, EventId, Key};

/// The host of all code that names none.
pub(super) const HERE: u16 = 0;
/// Where a connection from [`HERE`] to a named host comes from.
pub(super) const HERE_ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
/// More named hosts than that have no address.
pub(super) const HOSTS: usize = 250;
/// The end of time: what would arrive then, or later, does not arrive.
const NEVER: u64 = u64::MAX;
/// The places of parcels among the children of the event that they belong to.
const PARCEL: u32 = 0x8000_0000;

/// The address of a host.
pub(super) fn address(host: u16) -> Ipv4Addr {
    match host {
        HERE => HERE_ADDR,
        host => Ipv4Addr::new(10, 0, 0, host as u8),
    }
}

/// A link between two hosts.
pub(super) struct Link {
    ends: [u16; 2],
    pub(super) latency: u64,
    /// By the end that sends: until when what it sends is lost.
    lost_until: [u64; 2],
    /// For how long the kernel may lose it by itself, and how often still.
    may_be_lost: u64,
    losses: u32,
}

impl Link {
    fn is_plain(&self) -> bool {
        self.latency == 0 && self.lost_until == [0, 0] && self.may_be_lost == 0
    }
}

/// What a link carries, and what a host reminds itself of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parcel {
    /// What side `from` of a connection has sent up to this position, its end included. Nothing new: a
    /// probe.
    Data { conn: u32, from: u8, upto: u64 },
    /// Side `to` is told what has arrived, and that there may be room.
    Ack { conn: u32, to: u8, upto: u64 },
    /// A RST for side `to`.
    Reset { conn: u32, to: u8 },
    /// The third step of a handshake: the server's side learns that the client knows.
    Established { conn: u32 },
    /// The first step: of the connect in slot `op`, which is the `order`-th submission.
    Syn { op: u32, order: u64 },
    /// The second: 0, or an error number.
    Answer { op: u32, order: u64, error: i32 },
    /// No parcel: the retransmission timer of a side.
    Again { conn: u32, side: u8 },
    /// No parcel: the server's side still waits for the third step.
    Unanswered { conn: u32, times: u32 },
}

impl Parcel {
    pub(super) fn conn(self) -> Option<u32> {
        match self {
            Parcel::Data { conn, .. }
            | Parcel::Ack { conn, .. }
            | Parcel::Reset { conn, .. }
            | Parcel::Established { conn }
            | Parcel::Again { conn, .. }
            | Parcel::Unanswered { conn, .. } => Some(conn),
            Parcel::Syn { .. } | Parcel::Answer { .. } => None,
        }
    }
}

/// When it arrives, and how many-th of the run it is: the name of what is on its way.
pub(super) type Arrival = (u64, u64);

/// All hosts, links and parcels.
#[derive(Default)]
pub(super) struct Net {
    names: Vec<String>,
    links: Vec<Link>,
    parcels: BTreeMap<Arrival, (EventId, Parcel)>,
    sent: u64,
}

impl Net {
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.links.clear();
        self.stop();
        self.sent = 0;
    }

    /// Nothing is under way any more.
    pub(super) fn stop(&mut self) {
        // (A tree is made anew when it is cleared.)
        if !self.parcels.is_empty() {
            self.parcels.clear();
        }
    }

    /// The host of this name, and its address. It is made if there is none; nothing if there are too many.
    pub(super) fn host(&mut self, name: &str) -> Option<u16> {
        let at = self.names.iter().position(|it| it == name);
        let at = at.unwrap_or(self.names.len());
        if at == HOSTS {
            return None;
        }
        if at == self.names.len() {
            self.names.push(name.to_owned());
        }
        Some(at as u16 + 1)
    }

    pub(super) fn has_host(&self, host: u16) -> bool {
        usize::from(host) <= self.names.len()
    }

    pub(super) fn any_host(&self) -> bool {
        !self.names.is_empty()
    }

    pub(super) fn name(&self, host: u16) -> &str {
        match usize::from(host).checked_sub(1) {
            Some(at) => &self.names[at],
            None => "here",
        }
    }

    /// Who has this address.
    pub(super) fn host_of(&self, ip: IpAddr) -> u16 {
        match ip {
            IpAddr::V4(ip) => match ip.octets() {
                [10, 0, 0, n] if usize::from(n) <= self.names.len() => u16::from(n),
                _ => HERE,
            },
            IpAddr::V6(_) => HERE,
        }
    }

    fn find(&self, a: u16, b: u16) -> Option<usize> {
        let ends = [a.min(b), a.max(b)];
        self.links.iter().position(|link| link.ends == ends)
    }

    /// The link between two hosts.
    pub(super) fn link(&mut self, a: u16, b: u16, losses: u32) -> usize {
        self.find(a, b).unwrap_or_else(|| {
            self.links.push(Link {
                ends: [a.min(b), a.max(b)],
                latency: 0,
                lost_until: [0; 2],
                may_be_lost: 0,
                losses,
            });
            self.links.len() - 1
        })
    }

    /// The link between two hosts, and which of its ends `a` is, if what goes over it takes time or may
    /// be lost.
    pub(super) fn far(&self, a: u16, b: u16) -> Option<(usize, usize)> {
        if self.links.is_empty() || a == b {
            return None;
        }
        let at = self.find(a, b)?;
        (!self.links[at].is_plain()).then(|| (at, usize::from(a > b)))
    }

    pub(super) fn at(&self, link: usize) -> &Link {
        &self.links[link]
    }

    /// Whether what end `end` sends is lost now.
    pub(super) fn is_lost(&self, link: usize, end: usize, now: u64) -> bool {
        self.links[link].lost_until[end] > now
    }

    /// The next arrival.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        // Most worlds have no link at all.
        if self.parcels.is_empty() {
            return None;
        }
        let first = self.parcels.first_key_value().map(|(key, _)| key.0);
        first.filter(|at| *at < NEVER)
    }

    /// The event that the next arrival belongs to.
    pub(super) fn first_event(&self) -> Option<(EventId, Parcel)> {
        self.parcels.first_key_value().map(|(_, parcel)| *parcel)
    }

    pub(super) fn add(&mut self, at: u64, event: EventId, parcel: Parcel) -> Arrival {
        self.sent += 1;
        self.parcels.insert((at, self.sent), (event, parcel));
        (at, self.sent)
    }

    pub(super) fn remove(&mut self, arrival: Arrival) {
        self.parcels.remove(&arrival);
    }

    /// Nothing of a connection is on its way any more.
    pub(super) fn forget(&mut self, conn: u32) {
        self.parcels
            .retain(|_, (_, parcel)| parcel.conn() != Some(conn));
    }

    pub(super) fn due(&mut self, now: u64) -> Option<(EventId, Parcel)> {
        let first = self.parcels.first_entry()?;
        let at = first.key().0;
        (at <= now && at < NEVER).then(|| first.remove())
    }
}

/// What is no operation and of which something is chosen. A parcel: what it is a part of, the connect that made its
/// connection, and which, its side and number.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) of: EventId,
    nth: u32,
}

impl Name {
    /// What has no side of its own is told apart by a number from 2 to 7 in its place.
    pub(super) fn new(of: EventId, side: usize, nth: u32) -> Name {
        Name {
            of,
            nth: (side as u32) << 28 | nth & 0xfff_ffff,
        }
    }

    pub(super) fn event(self) -> EventId {
        self.of.child(PARCEL | self.nth)
    }
}

impl Kernel {
    /// The earliest point in time at which something happens by itself.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let timer = self.m.timers.first().map(|(deadline, _)| deadline);
        match self.m.net.first() {
            None => timer,
            Some(arrival) => Some(timer.map_or(arrival, |timer| timer.min(arrival))),
        }
    }

    /// A parcel sets out over a link now: when it will arrive, or nothing if it is lost.
    pub(super) fn sets_out(&mut self, link: usize, end: usize, name: Name) -> Option<u64> {
        let now = self.m.now;
        if self.m.net.is_lost(link, end, now) {
            return None;
        }
        let Link {
            latency,
            may_be_lost,
            losses,
            ..
        } = self.m.net.links[link];
        if may_be_lost > 0 && losses > 0 {
            let picked = self.pick_for(Rule::Link, name);
            if picked != Does::Go {
                let link = &mut self.m.net.links[link];
                link.losses -= 1;
                let until = now.saturating_add(may_be_lost);
                match picked {
                    Does::LosesOneWay => link.lost_until[end] = until,
                    Does::LosesBothWays => link.lost_until = [until; 2],
                    _ => {}
                }
                return None;
            }
        }
        let delayed = latency > 0 && !self.decider.kind;
        let times = match delayed.then(|| self.pick_for(Rule::Latency, name)) {
            Some(Does::Times(times)) => u64::from(times),
            _ => 1,
        };
        Some(now.saturating_add(latency.saturating_mul(times)))
    }

    /// Everything that has arrived by now.
    pub(super) fn arrivals(&mut self) {
        while let Some((_, parcel)) = self.m.net.due(self.m.now) {
            match parcel {
                Parcel::Syn { op, order } => self.syn_arrives(op, order),
                Parcel::Answer { op, order, error } => self.answer_arrives(op, order, error),
                Parcel::Data { conn, from, upto } => {
                    self.data_arrives(conn as usize, usize::from(from), upto);
                }
                Parcel::Ack { conn, to, upto } => {
                    self.ack_arrives(conn as usize, usize::from(to), upto);
                }
                Parcel::Reset { conn, to } => self.reset_arrives(conn as usize, usize::from(to)),
                Parcel::Established { conn } => self.established_arrives(conn as usize),
                Parcel::Again { conn, side } => self.sends_again(conn as usize, usize::from(side)),
                Parcel::Unanswered { conn, times } => self.unanswered(conn as usize, times),
            }
        }
    }

    /// Something about an operation or a connection that no operation of ours is.
    pub(super) fn note_of(
        &mut self,
        event: EventId,
        object: Option<String>,
        text: impl FnOnce() -> String,
    ) {
        if self.recorder.on {
            let now = self.m.now;
            self.recorder
                .push(event, event, What::Note, object, text(), None, now);
        }
    }

    // ---- what a test says

    pub(crate) fn host(&mut self, name: &str) -> Option<u16> {
        self.m.net.host(name)
    }

    pub(crate) fn host_name(&self, host: u16) -> String {
        self.m.net.name(host).to_owned()
    }

    pub(crate) fn set_latency(&mut self, a: u16, b: u16, latency: u64) {
        let link = self.changed_link(a, b, |link| link.latency = latency);
        self.say(link, || match latency {
            0 => "takes no time".to_owned(),
            latency => format!("takes {}", duration(latency)),
        });
    }

    /// What `a` sends to `b` is lost for a time, and with `both` what comes back as well.
    pub(crate) fn lose(&mut self, a: u16, b: u16, both: bool, time: u64) {
        let end = usize::from(a > b);
        let until = self.m.now.saturating_add(time);
        let link = self.changed_link(a, b, |link| {
            link.lost_until[end] = until;
            if both {
                link.lost_until[end ^ 1] = until;
            }
        });
        self.say(link, || {
            let ways = if both { "both ways" } else { "one way" };
            match until {
                u64::MAX => format!("is lost, {ways}"),
                _ => format!("is lost for {}, {ways}", duration(time)),
            }
        });
        self.probe_over(link);
    }

    pub(crate) fn heal(&mut self, a: u16, b: u16) {
        let link = self.changed_link(a, b, |link| link.lost_until = [0; 2]);
        self.say(link, || "is back".to_owned());
    }

    pub(crate) fn set_may_be_lost(&mut self, a: u16, b: u16, most: u64) {
        self.changed_link(a, b, |link| link.may_be_lost = most);
    }

    fn changed_link(&mut self, a: u16, b: u16, change: impl FnOnce(&mut Link)) -> usize {
        let link = self.m.net.link(a, b, self.config.faults_per_operation);
        change(&mut self.m.net.links[link]);
        if !self.m.net.links[link].is_plain() {
            self.wire_all(a, b);
        }
        link
    }

    fn say(&mut self, link: usize, text: impl FnOnce() -> String) {
        let [a, b] = self.m.net.links[link].ends;
        let link = format!("link {}-{}", self.m.net.name(a), self.m.net.name(b));
        self.note(|| format!("{link} {}", text()));
    }
}

impl Kernel {
    /// Which outcome of a transition it is, for what is no operation.
    pub(super) fn pick_for(&mut self, rule: Rule, name: Name) -> Does {
        let transition = rule.transition();
        let kind = transition.outcomes[0].does;
        let chooses = !self.decider.kind && self.verdict.is_none();
        let Some(site) = transition.site.filter(|_| chooses) else {
            return kind;
        };
        let menu = Menu::new(
            transition,
            transition.mask(self.config.personality, true),
            0,
        );
        if menu.len() < 2 {
            return kind;
        }
        let key = Key {
            event: name.of,
            occurrence: name.nth,
        };
        let picked = self.decider.choose(site, key, menu.len(), &menu);
        if self.recorder.on {
            let text = Alternatives::label(&menu, picked);
            let what = What::Decision {
                site,
                deviation: picked != 0,
            };
            let (of, now) = (name.of, self.m.now);
            self.recorder.push(of, of, what, None, text, None, now);
        }
        let place = menu.place(picked);
        self.decider.coverage.takes(rule, place);
        transition.outcomes[place].does
    }
}
