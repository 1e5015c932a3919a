//! How values that borrow from the program's tables are written to a state file and read back.
//!
//! A name from a table is written as its text. Read back, the text is kept once for the life of the program; there are
//! few of them, and a file that pretends otherwise is refused. The room of a list is written with it, because the memory
//! bound counts room: a flow that is carried over must weigh what it weighed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Protocol;

/// Longest name that is believed. Unit: bytes.
const MAX_NAME: usize = 64;
/// Names that are believed; the tables hold some hundreds.
const MAX_NAMES: usize = 1 << 12;

/// The text `name` for the life of the program; `None` when it cannot be a name of this program.
fn lasting(name: &str) -> Option<&'static &'static str> {
    static NAMES: Mutex<BTreeMap<&'static str, &'static &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if name.len() > MAX_NAME || names.len() >= MAX_NAMES {
        return None;
    }
    let text: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let place: &'static &'static str = Box::leak(Box::new(text));
    names.insert(text, place);
    Some(place)
}

/// A text of a table, under a name of its own: serde takes a reference that it sees in a type for one into the file.
pub(crate) type Text = &'static str;

/// A name from a table of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word(pub(crate) &'static str);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        lasting(&name).map(|name| Self(name)).ok_or_else(|| D::Error::custom("a name that no table holds"))
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        lasting(&name).map(Self).ok_or_else(|| D::Error::custom("a name that no table holds"))
    }
}

/// For `serde(with)`: a word that may be absent.
pub(crate) mod word {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Word};

    pub(crate) fn serialize<S: Serializer>(word: &Option<&'static str>, serializer: S) -> Result<S::Ok, S::Error> {
        word.map(Word).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
        Ok(Option::<Word>::deserialize(deserializer)?.map(|word| word.0))
    }
}

/// For `serde(with)`: a list of words.
pub(crate) mod words {
    use super::{Deserialize, Deserializer, Serializer, Word};

    pub(crate) fn serialize<S: Serializer>(words: &[&'static str], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(words.iter().copied().map(Word))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
        Ok(Vec::<Word>::deserialize(deserializer)?.into_iter().map(|word| word.0).collect())
    }
}

/// For `serde(with)`: [`room`] for a queue.
pub(crate) mod queue {
    use std::collections::VecDeque;

    use super::{Deserialize, Deserializer, Serialize, Serializer, room};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        queue: &VecDeque<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (queue.capacity() as u64, queue).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<VecDeque<T>, D::Error> {
        room::deserialize(deserializer).map(VecDeque::from)
    }
}

/// For `serde(with)`: [`room`] for both sides of a flow.
pub(crate) mod rooms {
    use super::{Deserialize, Deserializer, Serialize, Serializer, room};

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Roomy(#[serde(with = "room")] Vec<u8>);

    pub(crate) fn serialize<S: Serializer>(sides: &[Vec<u8>; 2], serializer: S) -> Result<S::Ok, S::Error> {
        sides.each_ref().map(|side| (side.capacity() as u64, side)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[Vec<u8>; 2], D::Error> {
        Ok(<[Roomy; 2]>::deserialize(deserializer)?.map(|side| side.0))
    }
}

/// For `serde(with)`: a list with its room, where the memory bound counts the room.
pub(crate) mod room {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    /// Room that a list of `len` items may ask for: growing doubles, and a buffer keeps some room when it is emptied.
    fn believed(room: u64, len: usize) -> usize {
        usize::try_from(room).unwrap_or(len).min(len.saturating_mul(2).saturating_add(256 << 10))
    }

    pub(crate) fn serialize<T: Serialize, S: Serializer>(list: &Vec<T>, serializer: S) -> Result<S::Ok, S::Error> {
        (list.capacity() as u64, list).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let (room, items) = <(u64, Vec<T>)>::deserialize(deserializer)?;
        let mut list = Vec::with_capacity(believed(room, items.len()).max(items.len()));
        list.extend(items);
        Ok(list)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        protocol: Protocol,
        #[serde(with = "word")]
        content: Option<Text>,
        #[serde(with = "words")]
        flags: Vec<Text>,
        #[serde(with = "room")]
        bytes: Vec<u8>,
    }

    #[test]
    fn names_and_room_come_back() {
        let mut bytes = Vec::with_capacity(1000);
        bytes.extend_from_slice(b"abc");
        let sample =
            Sample { protocol: Protocol::TLS, content: Some("looks_text"), flags: vec!["gap", "midstream"], bytes };
        let written = postcard::to_stdvec(&sample).unwrap();
        let back: Sample = postcard::from_bytes(&written).unwrap();
        assert_eq!(back, sample);
        assert_eq!(back.bytes.capacity(), sample.bytes.capacity());
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = postcard::to_stdvec("x".repeat(65).as_str()).unwrap();
        assert!(postcard::from_bytes::<Protocol>(&long).is_err());
        let known = postcard::to_stdvec("tls").unwrap();
        assert_eq!(postcard::from_bytes::<Protocol>(&known).unwrap(), Protocol::TLS);
    }

    #[test]
    fn no_file_asks_for_room_without_end() {
        let written = postcard::to_stdvec(&(u64::MAX, b"abc".to_vec())).unwrap();
        let mut reader = postcard::Deserializer::from_bytes(&written);
        let list: Vec<u8> = room::deserialize(&mut reader).unwrap();
        assert!(list.capacity() <= 1 << 20, "{}", list.capacity());
    }
}
