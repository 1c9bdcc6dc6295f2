//! The hook of keyboard-interactive logins: it asks, the client answers, until it says
//! how the login ends.
//!
//! A program writes one JSON object a line and reads one answer a line. An HTTP server
//! is asked once per step, with the questions before and the answers to them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slog::Logger;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::command::{Interactive, Program, Programs};
use super::http::HttpClient;
use crate::error::{Error, ErrorKind, Result};

/// The name of this hook in the section `command`.
pub const NAME: &str = "keyboard_interactive";

/// The whole dialogue, the client's time to answer included.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Dialogues at a time: each program is a process that strangers can start.
const MAX_DIALOGUES: usize = 100;

/// Most questions of one step, and most steps of a dialogue.
const MAX_QUESTIONS: usize = 50;
const MAX_STEPS: u32 = 50;

/// One message of the hook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub instruction: String,
    pub questions: Vec<String>,
    pub echos: Vec<bool>,
    /// 1: we verify the answer as the password; 2: as a one-time password.
    pub check_password: u8,
    /// 1 ends the dialogue well, any other number but 0 badly.
    pub auth_result: i32,
}

impl Reply {
    fn parse(text: &[u8]) -> Result<Self> {
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(Error::invalid("the hook's message is not a JSON object"));
        }
        let reply: Self = serde_json::from_slice(text).map_err(|error| {
            Error::with_source(ErrorKind::InvalidInput, "the hook's message", error)
        })?;
        let problem = if reply.questions.len() != reply.echos.len() {
            "has not as many echos as questions"
        } else if reply.questions.len() > MAX_QUESTIONS {
            "has too many questions"
        } else if reply.check_password > 2 {
            "has an unknown check_password"
        } else if reply.check_password > 0 && reply.questions.len() != 1 {
            "has check_password and not exactly one question"
        } else {
            return Ok(reply);
        };
        Err(Error::invalid(format!("the hook's message {problem}")))
    }

    fn says_nothing(&self) -> bool {
        self.auth_result == 0 && self.questions.is_empty() && self.instruction.is_empty()
    }
}

/// Whom the dialogue is about.
#[derive(Debug, Clone)]
pub struct Asking {
    pub username: String,
    pub ip: IpAddr,
    /// The stored hash; empty if there is none.
    pub password: String,
}

/// The configured hook.
#[derive(Debug, Clone)]
pub struct KeyboardHook {
    target: Target,
    log: Logger,
    slots: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
enum Target {
    Program(Program),
    Http { client: HttpClient, url: String },
}

impl KeyboardHook {
    /// `hook` is an address that starts with `http://` or `https://`, or the path of a
    /// program. `log` gets what a program prints on its standard error.
    /// `http` makes the client, which only an address needs.
    pub fn new(
        hook: &str,
        programs: &Programs,
        http: impl FnOnce() -> Result<HttpClient>,
        log: Logger,
    ) -> Result<Self> {
        let target = if hook.starts_with("http://") || hook.starts_with("https://") {
            Target::Http { client: http()?, url: hook.to_owned() }
        } else {
            Target::Program(programs.program(hook, NAME))
        };
        Ok(Self { target, log, slots: Arc::new(Semaphore::new(MAX_DIALOGUES)) })
    }

    /// Begins a dialogue.
    pub fn begin(&self, about: Asking) -> Result<Conversation> {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::Unavailable, format!("{MAX_DIALOGUES} dialogues are running"))
        })?;
        let deadline = Instant::now() + TIME_LIMIT;
        let with = match &self.target {
            Target::Program(program) => {
                let ip = about.ip.to_string();
                let about = [
                    ("SFTPGO_AUTHD_USERNAME", about.username.as_str()),
                    ("SFTPGO_AUTHD_IP", ip.as_str()),
                    ("SFTPGO_AUTHD_PASSWORD", about.password.as_str()),
                ];
                With::Program(program.interactive(&about, deadline, self.log.clone())?)
            }
            Target::Http { client, url } => With::Http {
                client: client.clone(),
                url: url.clone(),
                request_id: uuid::Uuid::new_v4().simple().to_string(),
                about,
            },
        };
        Ok(Conversation { with, deadline, step: 0, questions: Vec::new(), _slot: slot })
    }
}

/// A dialogue with the hook.
#[derive(Debug)]
pub struct Conversation {
    with: With,
    deadline: Instant,
    step: u32,
    /// Of the step before.
    questions: Vec<String>,
    _slot: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum With {
    Program(Interactive),
    Http { client: HttpClient, url: String, request_id: String, about: Asking },
}

/// What an HTTP hook is sent.
#[derive(Serialize)]
struct Step<'a> {
    request_id: &'a str,
    step: u32,
    username: &'a str,
    ip: String,
    password: &'a str,
    answers: Option<&'a [String]>,
    questions: Option<&'a [String]>,
}

impl Conversation {
    /// Gives the answers to the questions before, none at the beginning, and waits for
    /// the next message.
    pub async fn next(&mut self, answers: &[String]) -> Result<Reply> {
        self.step += 1;
        if self.step > MAX_STEPS {
            return Err(Error::invalid(format!("the dialogue has more than {MAX_STEPS} steps")));
        }
        let deadline = self.deadline;
        let reply =
            tokio::time::timeout_at(deadline, self.ask(answers)).await.map_err(|_| {
                Error::new(
                    ErrorKind::Timeout,
                    format!("the dialogue took more than {} seconds", TIME_LIMIT.as_secs()),
                )
            })??;
        self.questions.clone_from(&reply.questions);
        Ok(reply)
    }

    async fn ask(&mut self, answers: &[String]) -> Result<Reply> {
        match &mut self.with {
            With::Program(program) => {
                if self.step > 1 {
                    program.answer(answers).await?;
                }
                loop {
                    let line = program.line().await?.ok_or_else(|| {
                        Error::invalid("the program ended without saying how the login ends")
                    })?;
                    let reply = Reply::parse(&line)?;
                    if !reply.says_nothing() {
                        return Ok(reply);
                    }
                }
            }
            With::Http { client, url, request_id, about } => {
                let is_first = self.step == 1;
                let step = Step {
                    request_id,
                    step: self.step,
                    username: &about.username,
                    ip: about.ip.to_string(),
                    password: &about.password,
                    answers: (!is_first).then_some(answers),
                    questions: (!is_first).then_some(&self.questions[..]),
                };
                let reply = Reply::parse(&client.post(url, &step).await?)?;
                if reply.auth_result == 0 && reply.questions.is_empty() {
                    return Err(Error::invalid("the hook has neither a question nor a result"));
                }
                Ok(reply)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_break_the_contract_are_refused() {
        let good = [
            "{}",
            r#"{"instruction":"i","questions":["q"],"echos":[true],"check_password":1}"#,
            r#"{"questions":["q","r"],"echos":[true,false]}"#,
            r#"{"auth_result":-1,"more":true}"#,
        ];
        for text in good {
            Reply::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let many = serde_json::json!({
            "questions": vec!["q"; MAX_QUESTIONS + 1], "echos": vec![true; MAX_QUESTIONS + 1],
        });
        let bad = [
            "",
            "x",
            "[]",
            r#"{"questions":["q"]}"#,
            r#"{"questions":["q"],"echos":[true,true]}"#,
            r#"{"check_password":1}"#,
            r#"{"questions":["q","r"],"echos":[true,true],"check_password":1}"#,
            r#"{"questions":["q"],"echos":[true],"check_password":3}"#,
            r#"{"questions":["q"],"echos":[1]}"#,
            &many.to_string(),
        ];
        for text in bad {
            assert!(Reply::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
