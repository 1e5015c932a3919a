//! DHCP and BOOTP for IPv4, DHCPv6.
//!
//! Sources: RFC 951 and RFC 2131 section 2 (fixed header), RFC 2132 section 2 (magic cookie), RFC 8415 sections 8, 9 and 21.
//! Evidence: v4: cookie after a plausible header, or, without one, the zeros behind the hardware address and in the server
//! name. v6: a chain of options that ends with the datagram.

use super::shape::{Check, Reader, Shape};

/// BOOTP and DHCP.
pub(super) static DHCP: Shape = Shape::new(&"dhcp", v4).opens(&[1..=2]);

/// DHCPv6, relayed or not.
pub(super) static DHCPV6: Shape = Shape::new(&"dhcpv6", v6).opens(&[1..=36]);

fn v4(reader: &mut Reader<'_>) -> Check {
    let operation = reader.u8()?;
    reader.holds(matches!(operation, 1 | 2), 7)?;
    let hardware = reader.u8()?;
    reader.holds(hardware <= 40, 2)?;
    let length = usize::from(reader.u8()?);
    reader.holds(length <= 16, 3)?;
    let hops = reader.u8()?;
    reader.holds(hops <= 16, 3)?;
    reader.skip(24)?; // transaction, seconds, flags, four addresses
    let address = reader.take(16)?;
    let padded = address.get(length..).unwrap_or_default().iter().all(|byte| *byte == 0);
    reader.favours(padded && length <= 8, 14);
    let server_name = reader.take(64)?;
    reader.favours(padded && length <= 8 && server_name.iter().all(|byte| *byte == 0), 10);
    reader.skip(128)?;
    if reader.left() >= 4 && reader.u32()? == 0x6382_5363 {
        return reader.holds(true, 32);
    }
    reader.holds(padded && reader.left() >= 60, 0)
}

fn v6(reader: &mut Reader<'_>) -> Check {
    let kind = reader.u8()?;
    reader.holds(matches!(kind, 1..=36), 2)?;
    if matches!(kind, 12 | 13) {
        let hops = reader.u8()?;
        reader.holds(hops <= 32, 3)?;
        reader.skip(32)?;
    } else {
        reader.skip(3)?;
    }
    reader.holds(reader.left() >= 4, 0)?;
    while reader.left() > 0 {
        let code = reader.u16()?;
        let length = usize::from(reader.u16()?);
        reader.holds((1..=150).contains(&code) && length <= reader.left(), 10)?;
        reader.skip(length)?;
    }
    reader.end(8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::shape::testing::table;
    use super::*;

    #[test]
    pub(crate) fn version_4() {
        let zeros = |count: usize| "00".repeat(count);
        let fixed = format!("01 01 06 00 12345678 0000 0000 {} 020304050607 {}", zeros(16), zeros(10 + 192));
        table(
            &DHCP,
            &[
                ("discover", &format!("{fixed} 63825363 350101 ff"), 'f'),
                ("bootp", &format!("{fixed} {}", zeros(64)), 'f'),
                ("operation 3", &format!("03{} 63825363 350101 ff", &fixed[2..]), 'n'),
                ("too short", &fixed, 'n'),
                ("noise after the hardware address", &format!("01 01 06 00 {} {}", "a7".repeat(232), zeros(64)), 'n'),
            ],
        );
    }

    #[test]
    pub(crate) fn version_6() {
        let solicit = "01 123456 0001 000a 00030001020304050607 0006 0004 00170018 0008 0002 0000";
        table(
            &DHCPV6,
            &[
                ("solicit", solicit, 'f'),
                ("one byte too many", &format!("{solicit} 00"), 'n'),
                ("option 0", "01 123456 0000 0002 0000", 'n'),
                ("no options", "01 123456", 'n'),
            ],
        );
    }
}
