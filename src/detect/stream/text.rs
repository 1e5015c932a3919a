//! Lines and words of text protocols, as message readers see them.

use super::framed::Header;

/// Longest line that is waited for. Unit: bytes.
const MAX_LINE: usize = 8 * 1024;

/// The first line of `head` without its end, and its length with it. `Err` says why there is none yet.
///
/// Bytes above 0x7f are let through (UTF-8, Latin-1); control characters other than tab and escape are not text.
pub(super) fn line(head: &[u8]) -> Result<(&[u8], usize), Header> {
    let end = head.iter().position(|byte| *byte == b'\n');
    let text = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    let body = text.strip_suffix(b"\r").unwrap_or(text);
    let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\t' | 0x1b);
    match end {
        _ if text.len() > MAX_LINE || !body.iter().all(is_text) => Err(Header::Bad),
        Some(end) => Ok((body, end + 1)),
        None => Err(Header::Short),
    }
}

/// Whether `text` starts with `word`, in upper or lower case.
pub(super) fn starts(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// How rare each byte is in text: letters from what English has most of to what it has least of, all else rarer still.
const RARITY: [u8; 256] = {
    const COMMON: [&[u8]; 2] = [b" etaoinshrdlcumwfgypbvkjxqz", b" ETAOINSHRDLCUMWFGYPBVKJXQZ"];
    let mut rarity = [COMMON[0].len() as u8; 256];
    let mut rank = 0;
    while rank < COMMON[0].len() {
        rarity[COMMON[0][rank] as usize] = rank as u8;
        rarity[COMMON[1][rank] as usize] = rank as u8;
        rank += 1;
    }
    rarity
};

/// Whether `text` holds `word`, in upper or lower case.
pub(super) fn holds(text: &[u8], word: &str) -> bool {
    let Some((place, rarest)) = word.bytes().enumerate().max_by_key(|(_, byte)| RARITY[usize::from(*byte)]) else {
        return !text.is_empty();
    };
    // Its rarest byte rules nearly all places out.
    let places = text.get(place..(text.len() + 1 + place).saturating_sub(word.len())).unwrap_or_default();
    memchr::memchr2_iter(rarest.to_ascii_lowercase(), rarest.to_ascii_uppercase(), places)
        .any(|at| text.get(at..).is_some_and(|rest| starts(rest, word)))
}

/// Whether what there is of `text` agrees with the start of `word`, in upper or lower case.
pub(super) fn may_start(text: &[u8], word: &str) -> bool {
    let common = text.len().min(word.len());
    text.get(..common).zip(word.as_bytes().get(..common)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// A line that begins with one of `words`, alone or followed by a blank; words in upper or lower case.
///
/// Words in `common` are shared by many protocols: they are let through and prove nothing.
pub(super) fn command(head: &[u8], words: &[&str], common: &[&str]) -> Header {
    // A line end that has only half come may follow any word, even none.
    let opens = |first: u8| {
        let is = |word: &&str| word.bytes().next().is_some_and(|letter| letter.eq_ignore_ascii_case(&first));
        first == b'\r' || first.is_ascii_graphic() && (words.iter().any(is) || common.iter().any(is))
    };
    if head.first().is_some_and(|first| !opens(*first)) {
        return Header::Bad;
    }
    let (text, len) = match line(head) {
        Ok((text, len)) => (text, Some(len)),
        Err(Header::Short) => (head, None),
        Err(other) => return other,
    };
    let blank = text.iter().position(|byte| *byte == b' ');
    let said = text.get(..blank.unwrap_or(text.len())).unwrap_or_default();
    let is = |word: &&&str| said.eq_ignore_ascii_case(word.as_bytes());
    match (len, blank) {
        (None, None) => {
            let said = said.strip_suffix(b"\r").unwrap_or(said);
            let may = words.iter().chain(common).any(|word| may_start(said, word) && said.len() <= word.len());
            if may { Header::Short } else { Header::Bad }
        }
        (None, Some(_)) if words.iter().chain(common).any(|word| is(&word)) => Header::Short,
        (Some(len), _) if words.iter().any(|word| is(&word)) => Header::Good { len, bits: 7 * said.len() as u32 },
        (Some(len), _) if common.iter().any(|word| is(&word)) => Header::Good { len, bits: 0 },
        _ => Header::Bad,
    }
}

/// After a line that starts with one of `words` comes something else (mail, TLS, credentials): nothing more is looked at.
pub(super) fn ending(header: Header, head: &[u8], words: &[&str]) -> Header {
    match header {
        Header::Good { bits, .. } if words.iter().any(|word| starts(head, word)) => {
            Header::Good { len: usize::MAX, bits }
        }
        other => other,
    }
}

/// A message after which no more are looked at: what follows it is data.
pub(super) fn whole(header: Header) -> Header {
    match header {
        Header::Good { bits, .. } => Header::Good { len: usize::MAX, bits },
        other => other,
    }
}

/// A reply line of three digits, one of `codes`, then a blank, a dash, or the end of the line. Worth 20 bits.
pub(super) fn reply(head: &[u8], codes: &[&str]) -> Header {
    let known = head.get(..3.min(head.len())).unwrap_or_default();
    if !known.iter().all(u8::is_ascii_digit) {
        return Header::Bad;
    }
    if !codes.iter().any(|code| code.as_bytes().starts_with(known)) {
        return Header::Bad;
    }
    match (head.get(3), line(head)) {
        (Some(b' ' | b'-' | b'\r' | b'\n'), Ok((_, len))) => Header::Good { len, bits: 20 },
        (None | Some(b' ' | b'-' | b'\r' | b'\n'), Err(other)) => other,
        _ => Header::Bad,
    }
}

/// A line that begins with one of `starts` exactly as written; its length in bits, eight a letter.
pub(super) fn opening(head: &[u8], starts: &[&str]) -> Header {
    let Some(start) = starts.iter().find(|start| head.starts_with(start.as_bytes())) else {
        let may = starts.iter().any(|start| start.as_bytes().starts_with(head));
        return if may { Header::Short } else { Header::Bad };
    };
    match line(head) {
        Ok((_, len)) => Header::Good { len, bits: 8 * start.len() as u32 },
        Err(other) => other,
    }
}

/// Adds `more` bits to a good message.
pub(super) fn with_bits(header: Header, more: u32) -> Header {
    match header {
        Header::Good { len, bits } => Header::Good { len, bits: bits + more },
        other => other,
    }
}

/// What Base64 (RFC 4648 section 4) stands for; `None` when it is none, or longer than any login.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const MAX_LEN: usize = 4096;
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    if text.len() > MAX_LEN || !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let [_, a, b, c] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend([a, b, c].iter().take(group.len().saturating_sub(1)));
    }
    Some(bytes)
}

/// Whether a message of SASL PLAIN (RFC 4616 section 2) holds a user and a password: identity, user, password.
pub(super) fn plain(message: &[u8]) -> bool {
    let mut parts = message.split(|byte| *byte == 0);
    let (_, user, password) = (parts.next(), parts.next(), parts.next());
    std::str::from_utf8(message).is_ok()
        && parts.next().is_none()
        && [user, password].iter().all(|part| part.is_some_and(|part| !part.is_empty()))
}

/// The same in Base64.
pub(super) fn plain_base64(text: &[u8]) -> bool {
    base64(text).is_some_and(|message| plain(&message))
}

/// Whether the value of an Authorization field is a login with a password (RFC 7617 section 2).
pub(super) fn basic(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let pair = if starts(value, "Basic ") { value.get(6..).and_then(|text| base64(text.trim_ascii())) } else { None };
    let colon = pair.as_ref().and_then(|pair| pair.iter().position(|byte| *byte == b':'));
    pair.zip(colon).is_some_and(|(pair, colon)| colon + 1 < pair.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_wherever_they_stand() {
        let words = ["whois", "Domain Name:", "% This", "a", ":", "aab", "ss"];
        let texts = [
            "",
            "a",
            "whoi",
            "WHOIS",
            "who whois",
            "wwhois",
            "DOMAIN name",
            "x domain NAME:",
            "%% this",
            "aaab",
            "AAB:",
            "ks",
        ];
        for (word, text) in words.iter().flat_map(|word| texts.map(|text| (word, text))) {
            let is_there = text.to_ascii_lowercase().contains(&word.to_ascii_lowercase());
            assert_eq!(holds(text.as_bytes(), word), is_there, "{word} in {text}");
        }
        assert!(!holds(b"", "") && holds(b"x", ""));
    }
}
