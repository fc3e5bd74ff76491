//! A client that does little: it writes requests that were made beforehand, and reads answers to their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Trouble;
use crate::clock::now;

/// A request as bytes.
#[must_use]
pub fn request(method: &str, path: &str, authorization: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: ").into_bytes();
    request.extend_from_slice(authorization);
    request.extend_from_slice(b"\r\n\r\n");
    request
}

/// One connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the body of the last answer is.
    body: std::ops::Range<usize>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Connection, Trouble> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 16 * 1024], body: 0..0 })
    }

    /// Sends a request, reads the whole answer, and says its status.
    ///
    /// # Errors
    /// If the connection breaks or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16, Trouble> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            filled += read;
            if let Some(body) = body(&self.buffer[..filled])? {
                if filled < body.end {
                    continue;
                }
                self.body = body;
                let status = self.buffer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
                return Ok(status.ok_or("no status")?.parse()?);
            }
        }
    }

    /// The first line of this name in the head of the last answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(self.buffer.get(..self.body.start)?).ok()?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body of the last answer.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.buffer.get(self.body.clone()).unwrap_or_default()
    }
}

/// Where the body of an answer is, once its head is there.
fn body(answer: &[u8]) -> Result<Option<std::ops::Range<usize>>, Trouble> {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let name = b"content-length: ";
    let named = answer[..head].windows(name.len()).position(|at| at.eq_ignore_ascii_case(name));
    let digits = answer[named.ok_or("an answer without a length")? + name.len()..head + 2].iter();
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Ok(Some(head + 4..head + 4 + length))
}

/// Connections to one server, each of which sends its requests in turn.
#[derive(Debug)]
pub struct Connections {
    connections: Vec<(Connection, usize)>,
    requests: Arc<[Vec<u8>]>,
    awake: bool,
}

impl Connections {
    /// Opens so many.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: SocketAddr, count: usize, requests: Vec<Vec<u8>>) -> Result<Connections, Trouble> {
        let mut connections = Vec::new();
        for number in 0..count {
            // Each begins elsewhere, so that they are not all at the same request.
            connections.push((Connection::open(address).await?, number * requests.len() / count));
        }
        Ok(Connections { connections, requests: requests.into(), awake: false })
    }

    /// Looks for answers all the time, and never waits for one asleep. On one machine the server's thread has to wake a client that
    /// does; and the slower it is, the more often its client has nothing to do.
    #[must_use]
    pub fn awake(self) -> Connections {
        Connections { awake: true, ..self }
    }

    /// Asks as fast as it is answered: how many requests a second.
    ///
    /// # Errors
    /// If an answer is not 200.
    pub async fn saturate(&mut self, for_time: Duration) -> Result<f64, Trouble> {
        let started = now();
        let done = self.all(started + for_time, None).await?;
        Ok(done.len() as f64 / started.elapsed().as_secs_f64())
    }

    /// Asks so many times a second, evenly, whether answers come or not: how long each answer took in microseconds, from when its
    /// request was due.
    ///
    /// # Errors
    /// If an answer is not 200.
    pub async fn paced(&mut self, a_second: f64, for_time: Duration) -> Result<Vec<f64>, Trouble> {
        let every = Duration::from_secs_f64(self.connections.len() as f64 / a_second);
        let latencies = self.all(now() + for_time, Some(every)).await?;
        Ok(latencies.into_iter().map(|latency| f64::from(latency) / 1000.0).collect())
    }

    /// The nanoseconds of each answer.
    async fn all(&mut self, until: Instant, every: Option<Duration>) -> Result<Vec<u32>, Trouble> {
        let (started, count) = (now(), u32::try_from(self.connections.len())?);
        let mut running = JoinSet::new();
        let awake = self.awake.then(|| {
            tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            })
        });
        for ((connection, next), number) in self.connections.drain(..).zip(0..) {
            // Spread over the time between two requests of one connection.
            let pace = every.map(|every| (started + every * number / count, every));
            running.spawn(drive(connection, next, Arc::clone(&self.requests), until, pace));
        }
        let mut latencies = Vec::new();
        while let Some(driven) = running.join_next().await {
            let (connection, next, seen) = driven??;
            self.connections.push((connection, next));
            latencies.extend(seen);
        }
        if let Some(awake) = awake {
            awake.abort();
        }
        Ok(latencies)
    }
}

async fn drive(
    mut connection: Connection,
    mut next: usize,
    requests: Arc<[Vec<u8>]>,
    until: Instant,
    mut pace: Option<(Instant, Duration)>,
) -> Result<(Connection, usize, Vec<u32>), Trouble> {
    let mut latencies = Vec::with_capacity(4096);
    let mut due = now();
    loop {
        if let Some((at, every)) = &mut pace {
            due = *at;
            *at += *every;
            // A timer of the runtime ticks once in a millisecond, which is longer than any answer takes.
            while now() < due {
                tokio::task::yield_now().await;
            }
        }
        if due >= until {
            return Ok((connection, next, latencies));
        }
        let status = connection.ask(&requests[next]).await?;
        if status != 200 {
            return Err(format!("a request was answered with {status}").into());
        }
        let answered = now();
        latencies.push(u32::try_from(answered.duration_since(due).as_nanos()).unwrap_or(u32::MAX));
        if pace.is_none() {
            due = answered;
        }
        next = (next + 1) % requests.len();
    }
}
