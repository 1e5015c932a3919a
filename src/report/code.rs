//! Names of code points; those without a name are written in hex.

use std::borrow::Cow;

use crate::grade::registry;

type Text = Cow<'static, str>;

/// A cipher suite by its IANA name.
pub(super) fn suite(code: u16) -> Text {
    or_hex(registry::suite_name(code), code)
}

/// A cipher kind of SSL 2 ("The SSL Protocol", Hickman, 1995, section C.4), named as packet analyzers name it.
pub(super) fn ssl2_cipher(code: u32) -> Text {
    let name = match code {
        0x01_0080 => "SSL2_RC4_128_WITH_MD5",
        0x02_0080 => "SSL2_RC4_128_EXPORT40_WITH_MD5",
        0x03_0080 => "SSL2_RC2_128_CBC_WITH_MD5",
        0x04_0080 => "SSL2_RC2_128_CBC_EXPORT40_WITH_MD5",
        0x05_0080 => "SSL2_IDEA_128_CBC_WITH_MD5",
        0x06_0040 => "SSL2_DES_64_CBC_WITH_MD5",
        0x07_00c0 => "SSL2_DES_192_EDE3_CBC_WITH_MD5",
        _ => return format!("0x{code:06x}").into(),
    };
    name.into()
}

/// A group in lower case.
pub(super) fn group(code: u16) -> Text {
    or_hex(registry::group_name(code), code)
}

/// A signature scheme.
pub(super) fn signature(code: u16) -> Text {
    or_hex(registry::signature_name(code), code)
}

/// A version as flow records have it: `1.3`, `ssl3`, the same for TLS and DTLS.
pub(super) fn version(code: u16) -> Text {
    or_hex(registry::version_name(code), code)
}

/// A version as people write it, TLS and DTLS told apart.
pub(super) fn long_version(code: u16) -> Text {
    match code {
        0x0002 => "SSL 2".into(),
        0x0300 => "SSL 3".into(),
        0x0301..=0x0304 => format!("TLS {}", version(code)).into(),
        0x0100 | 0xfefc | 0xfefd | 0xfeff => format!("DTLS {}", version(code)).into(),
        // RFC 8446 drafts: 0x7f00 and the number of the draft.
        0x7f00..=0x7f1c => format!("TLS 1.3 draft {}", code & 0xff).into(),
        _ => version(code),
    }
}

fn or_hex(name: Option<&'static str>, code: u16) -> Text {
    name.map_or_else(|| format!("0x{code:04x}").into(), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let cases = [
            (0x0304, "1.3", "TLS 1.3"),
            (0x0300, "ssl3", "SSL 3"),
            (0x0002, "ssl2", "SSL 2"),
            (0xfefd, "1.2", "DTLS 1.2"),
            (0xfefe, "0xfefe", "0xfefe"),
        ];
        for (code, short, long) in cases {
            assert_eq!((&*version(code), &*long_version(code)), (short, long));
        }
        assert_eq!(long_version(0x7f12), "TLS 1.3 draft 18");
        assert_eq!((&*suite(0x1301), &*suite(0xfafb)), ("TLS_AES_128_GCM_SHA256", "0xfafb"));
        assert_eq!((&*ssl2_cipher(0x07_00c0), &*ssl2_cipher(9)), ("SSL2_DES_192_EDE3_CBC_WITH_MD5", "0x000009"));
        assert_eq!((&*group(29), &*group(0xfafb)), ("x25519", "0xfafb"));
    }
}
