//! Media endpoints that a session description announces: RTP in clear, SRTP, or T.38 fax.
//!
//! Sources: RFC 8866 section 5 (`c=`, `m=`), RFC 4566, RFC 3711 and RFC 5764 section 8 (SAVP profiles), RFC 4568
//! (`a=crypto`), RFC 3605 (`a=rtcp`).
//! Evidence: the profile of the media line. A description that offers keys beside a plain profile (`a=crypto`,
//! `a=fingerprint`), or both profiles for one endpoint, settles nothing and announces nothing.

use std::net::IpAddr;

use crate::model::{Endpoint, Protocol};

/// RTP in clear.
pub(in crate::detect) const RTP: Protocol = Protocol(&"rtp");
/// RTP with confidentiality.
pub(in crate::detect) const SRTP: Protocol = Protocol(&"srtp");
const RTCP: Protocol = Protocol(&"rtcp");
const SRTCP: Protocol = Protocol(&"srtcp");
const T38: Protocol = Protocol(&"t38");

/// Endpoints announced so far by one flow; bounded.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(in crate::detect) struct Announcements {
    /// `None`: announced with two protocols.
    #[serde(with = "crate::model::kept::room")]
    endpoints: Vec<(Endpoint, Option<Protocol>)>,
}

/// Endpoints kept of one flow.
const MAX_ENDPOINTS: usize = 256;

impl Announcements {
    /// Reads the description in a message: what follows a line `v=0`.
    pub(in crate::detect) fn read_message(&mut self, message: &[u8]) {
        let start = message.windows(4).position(|window| matches!(window, b"v=0\r" | b"v=0\n"));
        if let Some(description) = start.and_then(|start| message.get(start..)) {
            self.read(description);
        }
    }

    /// Endpoints that were announced with one meaning.
    pub(in crate::detect) fn endpoints(&self) -> impl Iterator<Item = (Endpoint, Protocol)> + '_ {
        self.endpoints.iter().filter_map(|(endpoint, protocol)| protocol.map(|protocol| (*endpoint, protocol)))
    }

    /// Heap bytes held.
    pub(in crate::detect) fn memory(&self) -> usize {
        self.endpoints.capacity() * size_of::<(Endpoint, Option<Protocol>)>()
    }

    fn read(&mut self, description: &[u8]) {
        let mut session_address = None;
        let mut media: Option<Media> = None;
        for line in description.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Ok(line) = std::str::from_utf8(line) else { continue };
            match line.split_once('=') {
                Some(("m", value)) => {
                    self.close(media.take());
                    media = Media::parse(value, session_address);
                }
                Some(("c", value)) => match &mut media {
                    Some(media) => media.address = address(value).or(media.address),
                    None => session_address = address(value).or(session_address),
                },
                Some(("a", value)) => {
                    if let Some(media) = &mut media {
                        media.attribute(value);
                    }
                }
                _ => {}
            }
        }
        self.close(media);
    }

    fn close(&mut self, media: Option<Media>) {
        let Some(media) = media else { return };
        let (Some(ip), Some((data, control))) = (media.address, media.protocols()) else { return };
        self.add(Endpoint { ip, port: media.port }, data);
        if let Some(control) = control {
            let next = media.port.checked_add(1);
            if let Some(port) = media.control_port.or(next).filter(|port| *port != media.port) {
                self.add(Endpoint { ip, port }, control);
            }
        }
    }

    fn add(&mut self, endpoint: Endpoint, protocol: Protocol) {
        if endpoint.ip.is_unspecified() {
            return;
        }
        let room = self.endpoints.len() < MAX_ENDPOINTS;
        match self.endpoints.iter_mut().find(|(known, _)| *known == endpoint) {
            Some((_, known)) if *known != Some(protocol) => *known = None,
            Some(_) => {}
            None if room => self.endpoints.push((endpoint, Some(protocol))),
            None => {}
        }
    }
}

/// One `m=` section.
struct Media {
    port: u16,
    address: Option<IpAddr>,
    control_port: Option<u16>,
    secure: bool,
    fax: bool,
    keys: bool,
}

impl Media {
    fn parse(value: &str, address: Option<IpAddr>) -> Option<Self> {
        let mut words = value.split(' ');
        let _kind = words.next()?;
        let port = words.next()?.split('/').next()?.parse().ok().filter(|port| *port != 0)?;
        let profile = words.next()?.to_ascii_uppercase();
        let fax = profile == "UDPTL";
        let secure = profile.contains("RTP/SAVP");
        let known =
            fax || secure || matches!(profile.as_str(), "RTP/AVP" | "RTP/AVPF" | "UDP/RTP/AVP" | "UDP/RTP/AVPF");
        known.then_some(Self { port, address, control_port: None, secure, fax, keys: false })
    }

    fn attribute(&mut self, value: &str) {
        self.keys |= value.starts_with("crypto:") || value.starts_with("fingerprint:");
        self.keys |= value.starts_with("zrtp-hash:") || value.starts_with("key-mgmt:");
        if let Some(port) = value.strip_prefix("rtcp:") {
            self.control_port = port.split(' ').next().and_then(|port| port.parse().ok());
        }
    }

    /// What data and control will be; `None` when the description leaves it open.
    fn protocols(&self) -> Option<(Protocol, Option<Protocol>)> {
        if self.fax {
            Some((T38, None))
        } else if self.secure {
            Some((SRTP, Some(SRTCP)))
        } else {
            (!self.keys).then_some((RTP, Some(RTCP)))
        }
    }
}

/// The address of a `c=` line: `IN IP4 192.0.2.1/127`.
fn address(value: &str) -> Option<IpAddr> {
    let mut words = value.trim_end().split(' ');
    match (words.next()?, words.next()?, words.next()?) {
        ("IN", "IP4" | "IP6", address) => address.split('/').next()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(text: &str) -> Vec<String> {
        let mut all = Announcements::default();
        all.read_message(text.as_bytes());
        all.endpoints().map(|(end, protocol)| format!("{}:{} {}", end.ip, end.port, protocol.name())).collect()
    }

    #[test]
    fn profiles() {
        let head = "SIP/2.0 200 OK\r\n\r\nv=0\r\nc=IN IP4 192.0.2.1\r\n";
        let cases: &[(&str, &str, &[&str])] = &[
            ("plain", "m=audio 4000 RTP/AVP 0 8\r\n", &["192.0.2.1:4000 rtp", "192.0.2.1:4001 rtcp"]),
            ("secure", "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 x\r\n", &["192.0.2.1:4000 srtp", "192.0.2.1:4001 srtcp"]),
            ("over DTLS", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", &["192.0.2.1:9 srtp", "192.0.2.1:10 srtcp"]),
            ("keys beside a plain profile", "m=audio 4000 RTP/AVP 0\r\na=crypto:1 x\r\n", &[]),
            ("refused", "m=audio 0 RTP/AVP 0\r\n", &[]),
            ("fax", "m=image 4002 udptl t38\r\n", &["192.0.2.1:4002 t38"]),
            (
                "own address",
                "m=audio 4000/2 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n",
                &["2001:db8::1:4000 rtp", "2001:db8::1:4001 rtcp"],
            ),
            (
                "own control port",
                "m=audio 4000 RTP/AVP 0\r\na=rtcp:5000 IN IP4 192.0.2.9\r\n",
                &["192.0.2.1:4000 rtp", "192.0.2.1:5000 rtcp"],
            ),
            ("both meanings", "m=audio 4000 RTP/AVP 0\r\nm=audio 4000 RTP/SAVP 0\r\n", &[]),
            ("on hold", "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", &[]),
            ("over TCP", "m=message 4000 TCP/MSRP *\r\n", &[]),
        ];
        for (name, media, want) in cases {
            assert_eq!(announced(&format!("{head}{media}")), *want, "{name}");
        }
        assert!(announced("INVITE sip:a SIP/2.0\r\n\r\n").is_empty());
    }
}
