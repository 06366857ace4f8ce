//! A connection of a line protocol (SMTP, IMAP): commands in, answers out, faults in between.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Simulation;
use crate::faults::{Effect, Step, ThirdParty};
use crate::received::Received;

/// The longest command line that is read.
const LONGEST_LINE: u64 = 64 << 10;
/// The largest mail or literal that is read.
pub(super) const LARGEST: usize = 64 << 20;

/// A client's connection.
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    third_party: ThirdParty,
    pub(super) simulation: Simulation,
}

/// What a command is answered with.
pub(super) struct Answer {
    /// All lines, each ended by CRLF.
    pub(super) text: Vec<u8>,
    /// For the call log.
    pub(super) status: u16,
}

impl Answer {
    /// One line.
    pub(super) fn line(status: u16, line: impl AsRef<str>) -> Self {
        let mut text = line.as_ref().as_bytes().to_vec();
        text.extend_from_slice(b"\r\n");
        Self { text, status }
    }
}

/// Accepts connections until `stop` and runs a dialogue on each. The dialogues end with it.
pub(super) async fn serve<D, F>(
    listener: TcpListener,
    simulation: Simulation,
    third_party: ThirdParty,
    stop: CancellationToken,
    dialogue: D,
) where
    D: Fn(Wire) -> F,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut dialogues = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let stream = BufReader::new(stream);
                    let running = dialogue(Wire { stream, third_party, simulation: simulation.clone() });
                    dialogues.spawn(async move {
                        if let Err(error) = running.await {
                            tracing::debug!(third_party = third_party.name(), %error, "connection ended");
                        }
                    });
                }
                // Out of file descriptors, most likely: waiting helps, spinning does not.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = dialogues.join_next() => {}
        }
    }
}

impl Wire {
    /// The next line without its end; `None` when the client is gone.
    pub(super) async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        while line.last().is_some_and(|last| matches!(last, b'\r' | b'\n')) {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// The content of a mail after `DATA`: up to the line with a single dot, dots unstuffed. `None` when the client
    /// went away before the end.
    pub(super) async fn mail(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut mail = Vec::new();
        loop {
            let start = mail.len();
            if self.stream.read_until(b'\n', &mut mail).await? == 0 {
                return Ok(None);
            }
            match mail.get(start..) {
                Some(b".\r\n" | b".\n") => {
                    mail.truncate(start);
                    return Ok(Some(mail));
                }
                Some([b'.', ..]) => drop(mail.remove(start)),
                _ => {}
            }
            if mail.len() > LARGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Exactly so many bytes (an IMAP literal).
    pub(super) async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Sends lines outside of any fault, e.g. a greeting.
    pub(super) async fn send(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(text.as_ref()).await?;
        stream.flush().await
    }

    /// Answers one command with what `execute` makes of it, unless a fault strikes; `refuse` words the answer of a
    /// command that is not executed.
    ///
    /// # Errors
    /// When the connection is over, also because of a fault.
    pub(super) async fn answer(
        &mut self,
        step: Step,
        command: &str,
        detail: &str,
        refuse: impl FnOnce(Effect) -> Answer,
        execute: impl FnOnce(&Simulation) -> Answer,
    ) -> io::Result<u16> {
        let path = if detail.is_empty() { command.to_owned() } else { format!("{command} {detail}") };
        let strike = self.simulation.faults.strike(self.third_party, step, &path);
        tokio::time::sleep(strike.latency).await;
        let (answer, last) = match strike.effect {
            None => (execute(&self.simulation), None),
            Some(effect @ (Effect::Status(_) | Effect::RefuseLogin | Effect::Garbage)) => {
                (refuse(effect), None)
            }
            Some(Effect::Reset) => (Answer { text: Vec::new(), status: 0 }, Some(())),
            Some(Effect::LoseAnswer) => {
                execute(&self.simulation);
                (Answer { text: Vec::new(), status: 0 }, Some(()))
            }
            Some(Effect::Truncate) => {
                let mut answer = execute(&self.simulation);
                answer.text.truncate(answer.text.len() / 2);
                (answer, Some(()))
            }
        };
        self.simulation.received.add(Received {
            number: 0,
            at: self.simulation.world.now(),
            third_party: self.third_party,
            method: command.to_owned(),
            // What follows a command may be an address or a password.
            path: String::new(),
            query: String::new(),
            status: answer.status,
            fault: strike.effect.map(|effect| format!("{effect:?}")),
        });
        self.send(&answer.text).await?;
        if last.is_some() {
            if answer.text.is_empty() {
                self.stream.get_ref().set_zero_linger()?;
            }
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(answer.status)
    }
}
