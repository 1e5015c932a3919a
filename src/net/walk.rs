//! The careful way through a frame: any link, any tunnel, one header a step.

use super::ip::{self, Hosts, Network};
use super::{Decoded, Fragment, Packet, transport, tunnel};
use crate::link::{self, Cursor, Layer, Step};
use crate::model::{Loss, Transport, Tunnel};

/// Steps after which a frame is given up. Six tunnels take two dozen; only a nest of link headers in link headers takes
/// more.
const MAX_STEPS: usize = 64;

/// Takes a frame of `link_type` apart.
pub(super) fn frame(link_type: u16, frame: &[u8], wire_len: u32) -> Decoded {
    Walk::new(Cursor::new(frame, wire_len), [Tunnel::default(); 6]).run(Layer::Link(link_type))
}

/// Takes the data of a datagram apart that was put together from fragments like `fragment`.
///
/// `data` is its captured part from the start, `wire_len` its full length.
pub(super) fn datagram(fragment: &Fragment, data: &[u8], wire_len: u32) -> Decoded {
    let mut walk = Walk::new(Cursor::new(data, wire_len), fragment.tunnels);
    let hosts = Hosts::of(&fragment.key, fragment.from);
    let decoded = match walk.upper(hosts, fragment.key.transport().0) {
        Next::Layer(layer) => walk.run(layer),
        Next::Done(decoded) => decoded,
    };
    match decoded {
        Decoded::Packet(packet) => Decoded::Packet(Packet { vlan: fragment.vlan, ..packet }),
        Decoded::Fragment(inner) => Decoded::Fragment(Fragment { vlan: fragment.vlan, ..inner }),
        other => other,
    }
}

/// A packet of a transport without ports (or whose ports are not known): all of the cursor is its payload.
pub(super) fn portless(hosts: &Hosts, protocol: u8, cursor: &Cursor<'_>, tunnels: [Tunnel; 6]) -> Packet {
    transport::packet(hosts, Transport(protocol), (0, 0), cursor, 0, tunnels)
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    tunnels: [Tunnel; 6],
    /// What the frame is if the tunnel opened last turns out to be none, or holds nothing readable.
    carrier: Option<Packet>,
    /// A tunnel is open that nothing announced.
    guessed: bool,
}

/// Where a step leads.
enum Next {
    Layer(Layer),
    Done(Decoded),
}

impl<'a> Walk<'a> {
    fn new(cursor: Cursor<'a>, tunnels: [Tunnel; 6]) -> Self {
        Self { cursor, tunnels, carrier: None, guessed: false }
    }

    fn run(mut self, mut layer: Layer) -> Decoded {
        for _ in 0..MAX_STEPS {
            match self.step(layer) {
                Next::Layer(next) => layer = next,
                Next::Done(decoded) => return decoded,
            }
        }
        Decoded::Undecoded(Loss::TunnelsTooDeep)
    }

    fn step(&mut self, layer: Layer) -> Next {
        let read = match layer {
            Layer::Ip => return self.ip(),
            Layer::EtherType(ether_type) => match tunnel::over_ether_type(ether_type) {
                Some(read) => read(&mut self.cursor),
                None => link::read(layer, &mut self.cursor),
            },
            _ => link::read(layer, &mut self.cursor),
        };
        self.follow(read)
    }

    /// Does what a reader says.
    fn follow(&mut self, read: link::Read) -> Next {
        let tunnels = self.tunnels;
        Next::Done(match read {
            Ok(Step::Next(layer)) => return Next::Layer(layer),
            Ok(Step::Open(tunnel, layer)) => return self.open(tunnel, layer),
            Ok(Step::Control(name)) => Decoded::Control(name, tunnels),
            Ok(Step::Plain(name)) => Decoded::Plain(name, tunnels),
            Ok(Step::Sealed(name)) => match self.carrier {
                Some(packet) if self.guessed => Decoded::Packet(packet),
                _ => Decoded::Sealed(name, tunnels),
            },
            Ok(Step::Opaque(name)) => self.carrier.map_or(Decoded::Opaque(name, tunnels), Decoded::Packet),
            Err(loss) => self.carrier.map_or(Decoded::Undecoded(loss), Decoded::Packet),
        })
    }

    fn open(&mut self, tunnel: Tunnel, layer: Layer) -> Next {
        if self.note(tunnel) { Next::Layer(layer) } else { Next::Done(Decoded::Undecoded(Loss::TunnelsTooDeep)) }
    }

    /// Notes a tunnel; whether there was room. Six fit.
    fn note(&mut self, tunnel: Tunnel) -> bool {
        let free = self.tunnels.iter_mut().find(|place| place.0 == 0);
        free.map(|place| *place = tunnel).is_some()
    }

    fn ip(&mut self) -> Next {
        match ip::read(&mut self.cursor) {
            Ok(network) => self.network(network),
            Err(loss) => self.follow(Err(loss)),
        }
    }

    fn network(&mut self, network: Network) -> Next {
        match network {
            Network::Whole(hosts, protocol) => self.upper(hosts, protocol),
            Network::Part(hosts, protocol, place) => {
                let (key, from) = hosts.key(Transport(protocol), 0, 0);
                Next::Done(Decoded::Fragment(Fragment {
                    key,
                    from,
                    vlan: 0,
                    id: place.id,
                    offset: place.offset,
                    more: place.more,
                    tunnels: self.tunnels,
                    data_start: transport::narrow(self.cursor.at()),
                    data_captured: transport::narrow(self.cursor.left().len()),
                    data_len: transport::narrow(self.cursor.wire_left()),
                }))
            }
        }
    }

    /// What an IP packet carries: extension headers, tunnels, or a transport.
    fn upper(&mut self, hosts: Hosts, protocol: u8) -> Next {
        let network = match ip::extensions(&mut self.cursor, &hosts, protocol) {
            Ok((network, false)) => network,
            Ok((network, true)) if self.note(const { tunnel::number("ah") }) => network,
            Ok(_) => return Next::Done(Decoded::Undecoded(Loss::TunnelsTooDeep)),
            Err(loss) => return self.follow(Err(loss)),
        };
        match network {
            Network::Whole(hosts, protocol) => self.protocol(hosts, protocol),
            part => self.network(part),
        }
    }

    fn protocol(&mut self, hosts: Hosts, protocol: u8) -> Next {
        if let Some(read) = tunnel::over_ip(protocol, hosts.v4) {
            self.carrier = Some(portless(&hosts, protocol, &self.cursor, self.tunnels));
            let read = read(&mut self.cursor, hosts.v4);
            return self.follow(read);
        }
        match transport::read(&hosts, protocol, &mut self.cursor, self.tunnels) {
            Ok(Decoded::Packet(packet)) if packet.key.transport() == Transport::UDP => self.udp(packet),
            Ok(Decoded::Packet(packet)) if packet.key.transport() == Transport::TCP => self.tcp(packet),
            Ok(decoded) => Next::Done(decoded),
            Err(loss) => self.follow(Err(loss)),
        }
    }

    /// A TCP packet, unless it only looks like one. The cursor stands at its payload.
    fn tcp(&mut self, packet: Packet) -> Next {
        let mut inner = self.cursor;
        let Some(step) = tunnel::over_tcp(&packet, &mut inner) else {
            return Next::Done(Decoded::Packet(packet));
        };
        self.carrier = Some(packet);
        self.guessed = true;
        self.cursor = inner;
        self.follow(Ok(step))
    }

    /// A UDP packet, unless a tunnel is in it. The cursor stands at its payload.
    fn udp(&mut self, packet: Packet) -> Next {
        let Some((step, inner)) = tunnel::over_udp(&self.cursor) else {
            return Next::Done(Decoded::Packet(packet));
        };
        self.carrier = Some(packet);
        self.guessed = true;
        self.cursor = inner;
        self.follow(Ok(step))
    }
}
