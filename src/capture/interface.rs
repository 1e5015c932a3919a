//! A network interface, read through libpcap.
//!
//! What the interface gives is written as pcapng and read like any capture: so the same bounds hold, and drops of the kernel
//! and of the card come as the statistics that pcapng has for them.
//!
//! Sources: draft-ietf-opsawg-pcapng (section header, interface description, enhanced packet, interface statistics);
//! pcap(3PCAP); the LINKTYPE_ registry of tcpdump for the few link types whose number differs from libpcap's.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pcap::{Active, Device, Precision};

use super::{Batch, Description, Epoch, Options, Source, from_reader};
use crate::error::{Error, Result};

/// How an interface is read.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Name of the interface, for example `eth0`.
    pub interface: String,
    /// What to keep, in the language of pcap-filter(7); empty for all.
    pub filter: String,
    /// Bytes to keep of each packet.
    pub snap_len: u32,
    /// Also packets for others, where the network brings them.
    pub promiscuous: bool,
    /// Memory of the kernel for packets that wait. Unit: bytes.
    pub buffer_bytes: u32,
    /// How long to listen; `None` until `stop`.
    pub duration: Option<Duration>,
    /// Set to end: that is the end of the capture, and no fault.
    pub stop: Arc<AtomicBool>,
}

/// Starts to listen.
///
/// # Errors
/// When the interface is not there or may not be read, or the filter is none: with what to do.
pub fn listen(listening: Listening, options: Options) -> Result<Box<dyn Source>> {
    let name = listening.interface.clone();
    let reader = Interface::open(listening)?;
    let source = from_reader(&name, Box::new(reader), Options { live: true, ..options })?;
    Ok(Box::new(Live(source)))
}

/// The interfaces that packets can be read from, each with what is known of it.
///
/// # Errors
/// When the system does not say.
pub fn interfaces() -> Result<Vec<(String, String)>> {
    let devices = Device::list().map_err(|error| Error::usage("--list", error.to_string()))?;
    let about = |device: &Device| {
        let addresses = device.addresses.iter().map(|address| address.addr.to_string());
        let state = if device.flags.is_up() { "" } else { "down" }.to_owned();
        let words = device.desc.clone().into_iter().chain([state]).chain(addresses);
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    };
    Ok(devices.iter().map(|device| (device.name.clone(), about(device))).collect())
}

/// A source whose container is no file.
struct Live(Box<dyn Source>);

impl Source for Live {
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.0.next_batch(batch)
    }

    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }

    fn position(&self) -> u64 {
        self.0.position()
    }

    fn description(&self) -> Description {
        Description { format: "interface".to_owned(), ..self.0.description() }
    }
}

/// Packets taken in one go: what they take is bounded by the snap length.
const PACKETS: usize = 64;
/// Packets of a quiet interface are handed on after this time. Unit: milliseconds.
const HAND_ON_MS: i32 = 50;
/// Between two looks at an interface that has nothing.
const PAUSE: Duration = Duration::from_millis(5);
/// Time for what the kernel still holds when listening ends.
const AFTER: Duration = Duration::from_millis(500);
/// Between two statistics blocks.
const STATISTICS: Duration = Duration::from_secs(1);

/// An interface as a stream of pcapng.
struct Interface {
    capture: pcap::Capture<Active>,
    name: String,
    /// When listening ends by itself.
    end: Option<Instant>,
    stop: Arc<AtomicBool>,
    /// When the last packets are taken, once listening has ended.
    last: Option<Instant>,
    statistics_due: Instant,
    ended: bool,
    out: Vec<u8>,
    at: usize,
}

impl Interface {
    fn open(listening: Listening) -> Result<Self> {
        let Listening { interface: name, filter, snap_len, promiscuous, buffer_bytes, duration, stop } = listening;
        let cannot = |error: pcap::Error| Error::usage(&name, advised(&error.to_string()));
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let mut capture = pcap::Capture::from_device(name.as_str())
            .map_err(cannot)?
            .snaplen(number(snap_len))
            .promisc(promiscuous)
            .buffer_size(number(buffer_bytes))
            .precision(Precision::Nano)
            .timeout(HAND_ON_MS)
            .open()
            .and_then(pcap::Capture::setnonblock)
            .map_err(cannot)?;
        if !filter.is_empty() {
            capture.filter(&filter, true).map_err(|error| Error::usage("--filter", error.to_string()))?;
        }
        let out = beginning(&name, link_type(capture.get_datalink().0), snap_len);
        let now = Instant::now();
        Ok(Self {
            capture,
            name,
            end: duration.map(|duration| now + duration),
            stop,
            last: None,
            statistics_due: now + STATISTICS,
            ended: false,
            out,
            at: 0,
        })
    }

    /// Takes what has come, and waits a little when nothing has.
    fn collect(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.last.is_none() && (self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| now >= end)) {
            self.last = Some(now + AFTER);
        }
        let out = &mut self.out;
        let taken = self.capture.dispatch(Some(PACKETS), |packet| {
            let pcap::PacketHeader { ts, len, .. } = packet.header;
            // With nanoseconds asked for, libpcap counts them where microseconds have their place.
            let time_ns = (ts.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(ts.tv_usec as u64);
            add_packet(out, time_ns, *len, packet.data);
        });
        match taken {
            Ok(0) | Err(pcap::Error::TimeoutExpired) => thread::sleep(PAUSE),
            Ok(_) => {}
            Err(error) => return Err(io::Error::other(format!("{}: {error}", self.name))),
        }
        self.ended = self.last.is_some_and(|last| now >= last);
        if self.ended || now >= self.statistics_due {
            self.statistics_due = now + STATISTICS;
            if let Ok(counts) = self.capture.stats() {
                self.out.extend(statistics(counts.if_dropped, counts.dropped));
            }
        }
        Ok(())
    }
}

impl Read for Interface {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.out.len() {
            if self.ended {
                return Ok(0);
            }
            self.out.clear();
            self.at = 0;
            self.collect()?;
        }
        let mut ready = self.out.get(self.at..).unwrap_or_default();
        let count = ready.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// What libpcap says, and what to do about it.
fn advised(error: &str) -> String {
    let advice = if error.contains("permi") {
        "; run it as root, or allow it once: setcap cap_net_raw,cap_net_admin=eip \"$(command -v tlscov)\""
    } else if error.contains("No such device") {
        "; tlscov live --list names the interfaces there are"
    } else {
        ""
    };
    format!("cannot be listened to: {error}{advice}")
}

/// The LINKTYPE_ of a link type of libpcap: they are the same but for these.
fn link_type(dlt: i32) -> u16 {
    match dlt {
        11 => 100,
        12 => 101,
        dlt => u16::try_from(dlt).unwrap_or(u16::MAX),
    }
}

/// A block: its type, its body, and its length before and behind.
fn block(kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    add_block(&mut out, kind, body);
    out
}

fn add_block(out: &mut Vec<u8>, kind: u32, body: &[&[u8]]) {
    let len: usize = body.iter().map(|part| part.len()).sum();
    let padded = len.next_multiple_of(4);
    // Snap lengths are far below 4 GiB.
    let total = (padded + 12) as u32;
    out.extend(kind.to_ne_bytes());
    out.extend(total.to_ne_bytes());
    body.iter().for_each(|part| out.extend_from_slice(part));
    out.resize(out.len() + padded - len, 0);
    out.extend(total.to_ne_bytes());
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [code.to_ne_bytes(), (value.len() as u16).to_ne_bytes()].concat();
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// Section header and interface description: times in nanoseconds.
fn beginning(name: &str, link_type: u16, snap_len: u32) -> Vec<u8> {
    const IF_NAME: u16 = 2;
    const IF_TSRESOL: u16 = 9;
    let section =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_ne_bytes(), &1_u16.to_ne_bytes(), &0_u16.to_ne_bytes(), &[0xff; 8]]);
    let described = [
        &link_type.to_ne_bytes()[..],
        &[0; 2],
        &snap_len.to_ne_bytes(),
        &option(IF_NAME, name.as_bytes()),
        &option(IF_TSRESOL, &[9]),
        &option(0, &[]),
    ];
    [section, block(1, &described)].concat()
}

/// An enhanced packet block.
fn add_packet(out: &mut Vec<u8>, time_ns: u64, wire_len: u32, data: &[u8]) {
    let words = [0, (time_ns >> 32) as u32, time_ns as u32, data.len() as u32, wire_len];
    add_block(out, 6, &[&words.map(u32::to_ne_bytes).concat(), data]);
}

/// An interface statistics block with the drops of the card and of the kernel.
fn statistics(card: u32, kernel: u32) -> Vec<u8> {
    const ISB_IFDROP: u16 = 5;
    const ISB_OSDROP: u16 = 7;
    let count = |code, drops: u32| option(code, &u64::from(drops).to_ne_bytes());
    block(5, &[&[0; 12], &count(ISB_IFDROP, card), &count(ISB_OSDROP, kernel), &option(0, &[])])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::model::Loss;

    #[test]
    fn packets_and_drops_are_read_back() {
        let mut bytes = beginning("eth7", 1, 96);
        add_packet(&mut bytes, 1_600_000_000_123_456_789, 60, b"hello");
        bytes.extend(statistics(2, 5));
        bytes.extend(statistics(3, 40));
        let mut source = from_reader("eth7", Box::new(io::Cursor::new(bytes)), Options::default()).unwrap();
        let mut batch = Batch::default();
        assert!(source.next_batch(&mut batch).unwrap());
        let [frame] = batch.frames[..] else { panic!("{:?}", batch.frames) };
        assert_eq!((frame.time_ns, frame.captured_len, frame.wire_len), (1_600_000_000_123_456_789, 5, 60));
        let start = frame.start as usize;
        assert_eq!(&batch.data[start..start + 5], b"hello");
        assert!(!source.next_batch(&mut batch).unwrap());
        assert_eq!(source.description().losses, [(Loss::InterfaceDrops, 43)]);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let cases = [
            ("eth0: You don't have permission to perform this capture on that device", "setcap"),
            ("socket: Operation not permitted", "setcap"),
            ("SIOCGIFHWADDR: No such device", "--list"),
            ("The interface disappeared", "disappeared"),
        ];
        for (error, want) in cases {
            let said = advised(error);
            assert!(said.contains(error) && said.contains(want), "{said}");
        }
        let none = Listening {
            interface: "no-such-interface".to_owned(),
            filter: String::new(),
            snap_len: 96,
            promiscuous: false,
            buffer_bytes: 1 << 20,
            duration: None,
            stop: Arc::default(),
        };
        assert!(listen(none, Options::default()).is_err_and(|error| error.to_string().contains("no-such-interface")));
    }
}
