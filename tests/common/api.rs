//! The REST API, driven with curl as a script would.

use std::process::{Command, Stdio};

use serde_json::Value;

/// A base address and a token.
#[derive(Clone)]
pub struct Api {
    port: u16,
    token: String,
}

impl Api {
    /// The status of `GET /healthz`, if anybody answers.
    pub fn healthz(port: u16) -> Option<u16> {
        let out = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5"])
            .arg(format!("http://127.0.0.1:{port}/healthz"))
            .output()
            .expect("curl is installed");
        String::from_utf8(out.stdout).ok()?.parse().ok().filter(|code| *code != 0)
    }

    pub fn login(port: u16, username: &str, password: &str) -> Self {
        let answer = Self::ask_token(port, username, password);
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}"));
        Self { port, token: token.to_owned() }
    }

    /// What is answered to who wants a token.
    pub fn ask_token(port: u16, username: &str, password: &str) -> Value {
        let out = Command::new("curl")
            .args(["-s", "--max-time", "20", "-u", &format!("{username}:{password}")])
            .arg(format!("http://127.0.0.1:{port}/api/v2/token"))
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("token: {e}: {}", String::from_utf8_lossy(&out.stdout)))
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("PUT", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> (u16, Value) {
        self.call("DELETE", path, None)
    }

    /// One request below `/api/v2`: status and JSON body.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30", "-X", method, "-w", "\n%{http_code}"])
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .arg(format!("http://127.0.0.1:{}/api/v2{path}", self.port))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "--data-binary"])
                .arg(body.to_string());
        }
        let out = curl.output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let value = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        (status.parse().unwrap(), value)
    }

    /// The sessions of `GET /connections`.
    pub fn connections(&self) -> Vec<Value> {
        let (status, body) = self.get("/connections");
        assert_eq!(status, 200, "{body}");
        body.as_array().cloned().unwrap_or_default()
    }
}
