//! One request on a connection of its own, as bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A hang is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends these bytes, and reads until the server closes. A server that refuses early may reset the connection over what it did not read;
/// what it said before counts.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a server that listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    if stream.write_all(request).is_ok() || stream.peek(&mut [0]).is_ok() {
        read_to_the_end(&mut stream, &mut answer);
    }
    answer
}

fn read_to_the_end(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("no end of an answer: {error}"),
        }
    }
}
