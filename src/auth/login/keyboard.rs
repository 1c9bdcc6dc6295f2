//! The dialogue of a keyboard-interactive login: our own questions, or those of a hook.
//!
//! Whoever is not allowed in anyway is asked the same as everybody else, and refused at
//! the end: the questions must not tell which accounts exist.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Login, LoginContext, LoginFailure, pass_gates};
use crate::auth::one_time::CodeOwner;
use crate::error::Error;
use crate::hooks::keyboard::TIME_LIMIT;
use crate::hooks::{Asking, Conversation, KeyboardHook, Reply};
use crate::model::timestamp::now_unix_secs;
use crate::model::{Password, User};

/// What the client is to ask the person in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    pub instruction: String,
    /// The text, and whether what is typed may be shown.
    pub questions: Vec<(String, bool)>,
}

impl Questions {
    fn one(text: &str) -> Self {
        Self { instruction: String::new(), questions: vec![(text.to_owned(), false)] }
    }
}

/// How a dialogue goes on.
#[derive(Debug)]
pub enum Step {
    Ask(Questions),
    /// The user has no hash.
    Done(Arc<User>),
}

/// A dialogue in progress. Dropping it ends the hook's program.
#[derive(Debug)]
pub struct Dialogue {
    login: Login,
    /// The user if the gates are open, or why they are closed.
    account: Result<User, LoginFailure>,
    /// What could not be inherited from groups.
    left_out: Vec<String>,
    stored: Password,
    source: Source,
    asked: usize,
    deadline: Instant,
}

#[derive(Debug)]
enum Source {
    BuiltIn { code_is_due: bool },
    Hook { conversation: Box<Conversation>, check_password: u8 },
}

impl Login {
    /// Begins a keyboard-interactive login.
    pub async fn keyboard_interactive(
        &self,
        hook: Option<&KeyboardHook>,
        username: &str,
        context: LoginContext,
    ) -> Result<(Dialogue, Step), LoginFailure> {
        let (user, left_out) = self.account(username).await?;
        let stored = user.as_ref().map(|user| user.password.clone()).unwrap_or_default();
        let account = pass_gates(user, &context, self.clock);
        let source = match hook {
            None => Source::BuiltIn { code_is_due: false },
            Some(hook) => Source::Hook {
                conversation: Box::new(hook.begin(Asking {
                    username: username.to_owned(),
                    ip: context.ip,
                    password: stored.as_str().to_owned(),
                })?),
                check_password: 0,
            },
        };
        let deadline = Instant::now() + TIME_LIMIT;
        let mut dialogue =
            Dialogue { login: self.clone(), account, left_out, stored, source, asked: 0, deadline };
        let step = match &dialogue.source {
            Source::BuiltIn { .. } => dialogue.ask(Questions::one("Password: ")),
            Source::Hook { .. } => dialogue.ask_hook(&[]).await?,
        };
        Ok((dialogue, step))
    }
}

impl Dialogue {
    /// Takes the answers to the last questions, as many as there were.
    pub async fn answer(&mut self, answers: Vec<String>) -> Result<Step, LoginFailure> {
        if answers.len() != self.asked || Instant::now() > self.deadline {
            return Err(LoginFailure::WrongCredentials);
        }
        match &self.source {
            Source::BuiltIn { code_is_due: false } => {
                self.check_password(&answers).await?;
                let user = self.user()?;
                if !user.has_totp_for_ssh() {
                    return self.done().await;
                }
                self.source = Source::BuiltIn { code_is_due: true };
                Ok(self.ask(Questions::one("Authentication code: ")))
            }
            Source::BuiltIn { code_is_due: true } => {
                self.check_code(&answers)?;
                self.done().await
            }
            Source::Hook { check_password: 0, .. } => self.ask_hook(&answers).await,
            Source::Hook { check_password: 1, .. } => {
                self.check_password(&answers).await?;
                self.ask_hook(&["OK".to_owned()]).await
            }
            Source::Hook { .. } => {
                self.check_code(&answers)?;
                self.ask_hook(&["OK".to_owned()]).await
            }
        }
    }

    fn ask(&mut self, questions: Questions) -> Step {
        self.asked = questions.questions.len();
        Step::Ask(questions)
    }

    async fn ask_hook(&mut self, answers: &[String]) -> Result<Step, LoginFailure> {
        let Source::Hook { conversation, check_password } = &mut self.source else {
            return Err(Error::internal("there is no hook to ask").into());
        };
        let reply: Reply = conversation.next(answers).await?;
        match reply.auth_result {
            0 => {
                *check_password = reply.check_password;
                Ok(self.ask(Questions {
                    instruction: reply.instruction,
                    questions: reply.questions.into_iter().zip(reply.echos).collect(),
                }))
            }
            1 => self.done().await,
            _ => Err(LoginFailure::WrongCredentials),
        }
    }

    /// Takes the time of a verification whatever the account.
    async fn check_password(&mut self, answers: &[String]) -> Result<(), LoginFailure> {
        let password = answers.first().map_or("", String::as_str);
        let login = self.login.clone();
        let is_right = login.passwords.verify(&self.stored, password).await?;
        let user = self.user()?;
        if !is_right {
            return Err(LoginFailure::WrongCredentials);
        }
        login.improve_user_hash(user, password).await;
        Ok(())
    }

    fn check_code(&mut self, answers: &[String]) -> Result<(), LoginFailure> {
        let code = answers.first().map_or("", String::as_str);
        let codes = self.login.one_time.clone();
        let user = self.user()?;
        if !user.has_totp_for_ssh() {
            return Err(LoginFailure::WrongCredentials);
        }
        let totp = &user.filters.totp_config;
        let owner = CodeOwner::User(&user.username);
        if codes.redeem(owner, &totp.config_name, &totp.secret, code, now_unix_secs())? {
            Ok(())
        } else {
            Err(LoginFailure::WrongCode)
        }
    }

    fn user(&mut self) -> Result<&User, LoginFailure> {
        if self.account.is_err() {
            return Err(self.take_account().err().unwrap_or(LoginFailure::WrongCredentials));
        }
        self.account.as_ref().map_err(|_| LoginFailure::WrongCredentials)
    }

    /// The dialogue ends with whatever is done with it.
    fn take_account(&mut self) -> Result<User, LoginFailure> {
        std::mem::replace(&mut self.account, Err(LoginFailure::WrongCredentials))
    }

    async fn done(&mut self) -> Result<Step, LoginFailure> {
        let user = self.take_account()?;
        Ok(Step::Done(self.login.admit(user, std::mem::take(&mut self.left_out)).await))
    }
}
