//! Hand-made handshakes for tests.

/// Concatenates.
pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A vector with a length of two bytes.
pub(super) fn vector16(content: &[u8]) -> Vec<u8> {
    join(&[&(content.len() as u16).to_be_bytes(), content])
}

/// Numbers, big-endian.
pub(super) fn list(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// An extension.
pub(super) fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    join(&[&kind.to_be_bytes(), &vector16(content)])
}

/// A ClientHello with the session ID `id`.
pub(super) fn client_hello(version: u16, id: &[u8], suites: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
    let block = extensions.concat();
    let block = if extensions.is_empty() { vec![] } else { vector16(&block) };
    let id_len = [id.len() as u8];
    join(&[&version.to_be_bytes(), &[7; 32], &id_len, id, &vector16(&list(suites)), &[1, 0], &block])
}

/// A ServerHello with the session ID `id`.
pub(super) fn server_hello(version: u16, id: &[u8], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let block = vector16(&extensions.concat());
    join(&[&version.to_be_bytes(), &[9; 32], &[id.len() as u8], id, &suite.to_be_bytes(), &[0], &block])
}

/// A HelloRetryRequest for x25519.
pub(super) fn hello_retry() -> Vec<u8> {
    let mut body = server_hello(0x0303, &[], 0x1301, &[extension(43, &[3, 4]), extension(51, &[0, 29])]);
    body.splice(2..34, super::hello::HELLO_RETRY_RANDOM);
    body
}

/// A handshake message of TLS.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    join(&[&[kind], &(body.len() as u32).to_be_bytes()[1..], body])
}

/// A record of TLS 1.2.
pub(super) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    join(&[&[kind, 3, 3], &vector16(content)])
}

/// A handshake message in a record of its own.
pub(super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    record(22, &message(kind, body))
}

/// A ClientHello of TLS 1.3 in its record.
pub(super) fn client13() -> Vec<u8> {
    let share = extension(51, &join(&[&[0, 8], &[0, 29, 0, 4], b"abcd"]));
    handshake(1, &client_hello(0x0303, &[5; 32], &[0x1301, 0xc02f], &[extension(43, &[4, 3, 4, 3, 3]), share]))
}

/// A ServerHello of TLS 1.3 in its record.
pub(super) fn server13() -> Vec<u8> {
    let share = extension(51, &join(&[&[0, 29, 0, 4], b"wxyz"]));
    handshake(2, &server_hello(0x0303, &[5; 32], 0x1301, &[extension(43, &[3, 4]), share]))
}

/// A ClientHello of TLS 1.2 in its record, offering a static RSA suite, NULL and ECDHE.
pub(super) fn client12() -> Vec<u8> {
    handshake(1, &client_hello(0x0303, &[5; 32], &[0xc02f, 0x002f, 0x003b], &[]))
}

/// A ServerHello of TLS 1.2 in its record.
pub(super) fn server12(id: &[u8], suite: u16) -> Vec<u8> {
    handshake(2, &server_hello(0x0303, id, suite, &[extension(0xff01, &[0])]))
}
