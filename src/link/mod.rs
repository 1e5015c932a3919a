//! From a captured frame to the network packet inside: link-layer headers.
//!
//! A reader takes one header off the front and says in a [`Step`] what follows. The walk that puts the steps together is
//! in [`crate::net`]; nothing here knows what came before or counts how deep it went. A new link type is one reader and
//! one row of [`LINKS`].
//!
//! Sources: the tcpdump registry of link types (tcpdump.org/linktypes.html) for numbers and headers; the rest is named in
//! each file.
//! Not handled: frames that hold several packets (A-MSDU: only the first one is read); link types whose row says
//! `unsupported`, which are counted as [`Loss::UnsupportedLink`].

mod cooked;
mod cursor;
mod ethernet;
mod legacy;
mod llc;
mod serial;
mod vendor;
mod wlan;

use crate::model::{Loss, Tunnel};

pub(crate) use cursor::Cursor;

/// What stands at a place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// The header of a link type, by its number.
    Link(u16),
    /// Ethernet addresses, then a type or length.
    Ethernet,
    /// What follows an EtherType.
    EtherType(u16),
    /// IEEE 802.2 service access points.
    Llc,
    /// PPP from its optional address and control bytes on.
    Ppp,
    /// IEEE 802.11; some access controllers swap the two bytes of the frame control field.
    Wlan {
        /// They are swapped here.
        swapped: bool,
    },
    /// An IP packet of the version that it says.
    Ip,
}

/// What a reader found behind the header it took off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next layer.
    Next(Layer),
    /// An encapsulation was opened; inside is this layer.
    Open(Tunnel, Layer),
    /// The end: no application payload.
    Control(&'static str),
    /// The end: data in clear.
    Plain(&'static str),
    /// The end: encrypted.
    Sealed(&'static str),
    /// The end: nothing here knows what follows.
    Opaque(&'static str),
}

/// What a reader says: the step that follows, or why the header cannot be read.
pub(crate) type Read = Result<Step, Loss>;

/// A link type.
pub struct Link {
    /// Number in the tcpdump registry of link types.
    pub number: u16,
    /// Its name there, lower case, without `LINKTYPE_`.
    pub name: &'static str,
    read: for<'a> fn(&mut Cursor<'a>) -> Read,
}

impl Link {
    const fn new(number: u16, name: &'static str, read: for<'a> fn(&mut Cursor<'a>) -> Read) -> Self {
        Self { number, name, read }
    }

    /// The row of `number`; `None` when the number is not known here.
    #[must_use]
    pub fn of(number: u16) -> Option<&'static Self> {
        let index = LINKS.binary_search_by_key(&number, |link| link.number).ok()?;
        LINKS.get(index)
    }
}

/// All known link types, ascending by number.
pub static LINKS: &[Link] = &[
    Link::new(0, "null", cooked::null),
    Link::new(1, "ethernet", ethernet::read),
    Link::new(3, "ax25", unsupported),
    Link::new(6, "ieee802_5", legacy::token_ring),
    Link::new(7, "arcnet_bsd", legacy::arcnet_bsd),
    Link::new(8, "slip", serial::slip),
    Link::new(9, "ppp", serial::ppp),
    Link::new(10, "fddi", legacy::fddi),
    Link::new(12, "raw", cooked::raw),
    Link::new(14, "raw", cooked::raw),
    Link::new(50, "ppp_hdlc", serial::ppp_hdlc),
    Link::new(51, "ppp_ether", serial::ppp_ether),
    Link::new(100, "atm_rfc1483", llc::read),
    Link::new(101, "raw", cooked::raw),
    Link::new(104, "c_hdlc", serial::c_hdlc),
    Link::new(105, "ieee802_11", wlan::read),
    Link::new(106, "atm_clip", llc::read),
    Link::new(107, "frelay", serial::frame_relay),
    Link::new(108, "loop", cooked::null),
    Link::new(109, "enc", cooked::enc),
    Link::new(113, "linux_sll", cooked::sll),
    Link::new(114, "ltalk", unsupported),
    Link::new(117, "pflog", cooked::pflog),
    Link::new(119, "ieee802_11_prism", wlan::prism),
    Link::new(122, "ip_over_fc", legacy::ip_over_fc),
    Link::new(123, "sunatm", legacy::sun_atm),
    Link::new(127, "ieee802_11_radiotap", wlan::radiotap),
    Link::new(129, "arcnet_linux", legacy::arcnet_linux),
    Link::new(130, "juniper_mlppp", vendor::juniper_other),
    Link::new(131, "juniper_mlfr", vendor::juniper_other),
    Link::new(132, "juniper_es", vendor::juniper_other),
    Link::new(133, "juniper_ggsn", vendor::juniper_other),
    Link::new(134, "juniper_mfr", vendor::juniper_other),
    Link::new(135, "juniper_atm2", vendor::juniper_other),
    Link::new(136, "juniper_services", vendor::juniper_other),
    Link::new(137, "juniper_atm1", vendor::juniper_other),
    Link::new(138, "apple_ip_over_ieee1394", legacy::firewire),
    Link::new(143, "docsis", unsupported),
    Link::new(144, "linux_irda", unsupported),
    Link::new(147, "user0", unsupported),
    Link::new(148, "user1", unsupported),
    Link::new(149, "user2", cooked::pktap),
    Link::new(150, "user3", unsupported),
    Link::new(151, "user4", unsupported),
    Link::new(152, "user5", unsupported),
    Link::new(153, "user6", unsupported),
    Link::new(154, "user7", unsupported),
    Link::new(155, "user8", unsupported),
    Link::new(156, "user9", unsupported),
    Link::new(157, "user10", unsupported),
    Link::new(158, "user11", unsupported),
    Link::new(159, "user12", unsupported),
    Link::new(160, "user13", unsupported),
    Link::new(161, "user14", unsupported),
    Link::new(162, "user15", unsupported),
    Link::new(163, "ieee802_11_avs", wlan::prism),
    Link::new(164, "juniper_monitor", vendor::juniper_other),
    Link::new(165, "bacnet_ms_tp", unsupported),
    Link::new(166, "ppp_pppd", serial::ppp_with_direction),
    Link::new(167, "juniper_pppoe", vendor::juniper_ethernet),
    Link::new(168, "juniper_pppoe_atm", vendor::juniper_ether_type),
    Link::new(169, "gprs_llc", unsupported),
    Link::new(177, "linux_lapd", unsupported),
    Link::new(178, "juniper_ether", vendor::juniper_ethernet),
    Link::new(179, "juniper_ppp", vendor::juniper_ppp),
    Link::new(180, "juniper_frelay", vendor::juniper_frame_relay),
    Link::new(181, "juniper_chdlc", vendor::juniper_c_hdlc),
    Link::new(186, "usb_freebsd", unsupported),
    Link::new(187, "bluetooth_hci_h4", unsupported),
    Link::new(189, "usb_linux", unsupported),
    Link::new(192, "ppi", wlan::ppi),
    Link::new(195, "ieee802_15_4_withfcs", unsupported),
    Link::new(197, "erf", vendor::erf),
    Link::new(201, "bluetooth_hci_h4_with_phdr", unsupported),
    Link::new(204, "ppp_with_dir", serial::ppp_with_direction_byte),
    Link::new(205, "c_hdlc_with_dir", serial::c_hdlc_with_direction_byte),
    Link::new(206, "frelay_with_dir", serial::frame_relay_with_direction_byte),
    Link::new(209, "ipmb_linux", unsupported),
    Link::new(215, "ieee802_15_4_nonask_phy", unsupported),
    Link::new(220, "usb_linux_mmapped", unsupported),
    Link::new(226, "ipnet", cooked::ipnet),
    Link::new(227, "can_socketcan", unsupported),
    Link::new(228, "ipv4", cooked::raw),
    Link::new(229, "ipv6", cooked::raw),
    Link::new(230, "ieee802_15_4_nofcs", unsupported),
    Link::new(231, "dbus", unsupported),
    Link::new(239, "nflog", cooked::nflog),
    Link::new(240, "netanalyzer", vendor::net_analyzer),
    Link::new(241, "netanalyzer_transparent", vendor::net_analyzer_transparent),
    Link::new(242, "ipoib", legacy::ip_over_infiniband),
    Link::new(243, "mpeg_2_ts", unsupported),
    Link::new(247, "infiniband", unsupported),
    Link::new(249, "usbpcap", unsupported),
    Link::new(251, "bluetooth_le_ll", unsupported),
    Link::new(252, "wireshark_upper_pdu", unsupported),
    Link::new(253, "netlink", unsupported),
    Link::new(254, "bluetooth_linux_monitor", unsupported),
    Link::new(255, "bluetooth_bredr_bb", unsupported),
    Link::new(256, "bluetooth_le_ll_with_phdr", unsupported),
    Link::new(258, "pktap", cooked::pktap),
    Link::new(266, "usb_darwin", unsupported),
    Link::new(270, "loratap", unsupported),
    Link::new(271, "vsock", unsupported),
    Link::new(272, "nordic_ble", unsupported),
    Link::new(274, "ethernet_mpacket", vendor::mpacket),
    Link::new(276, "linux_sll2", cooked::sll2),
    Link::new(283, "ieee802_15_4_tap", unsupported),
    Link::new(288, "usb_2_0", unsupported),
    Link::new(290, "zwave_tap", unsupported),
    Link::new(293, "usb_2_0_low_speed", unsupported),
    Link::new(294, "usb_2_0_full_speed", unsupported),
    Link::new(295, "usb_2_0_high_speed", unsupported),
];

/// Takes the header of `layer` off the front. The network packet is not read here.
pub(crate) fn read(layer: Layer, cursor: &mut Cursor<'_>) -> Read {
    match layer {
        Layer::Link(number) => Link::of(number).map_or(Err(Loss::UnsupportedLink), |link| (link.read)(cursor)),
        Layer::Ethernet => ethernet::read(cursor),
        Layer::EtherType(ether_type) => ethernet::ether_type(cursor, ether_type),
        Layer::Llc => llc::read(cursor),
        Layer::Ppp => serial::ppp(cursor),
        Layer::Wlan { swapped } => wlan::frame(cursor, swapped),
        Layer::Ip => Ok(Step::Next(layer)),
    }
}

/// A link type that carries no IP, or none that this program reads.
fn unsupported(_cursor: &mut Cursor<'_>) -> Read {
    Err(Loss::UnsupportedLink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_ascend() {
        assert!(LINKS.is_sorted_by(|a, b| a.number < b.number));
        assert_eq!(Link::of(276).map(|link| link.name), Some("linux_sll2"));
        assert!(Link::of(2).is_none());
    }
}
