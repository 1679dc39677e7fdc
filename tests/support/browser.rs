//! A real browser, driven as a person would: Chromium without a window, by WebDriver (W3C).
//!
//! It owns the driver's process and one session. The driver listens on loopback on a port of the kernel's choice, and its browser
//! lives in a folder of its own. Both end with the test. Next: `wait` for what a page shows after a while.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::skip::skipped;
use super::wait;

/// The driver, which finds its browser itself.
const DRIVER: &str = "chromedriver";
/// What the driver prints before the port.
const STARTED: &str = "started successfully on port ";
/// The longest that one command may take, the start of the browser included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    agent: ureq::Agent,
    /// Where the commands of the session go.
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser; nothing if there is none on this machine. On a build server that is a failure.
    pub(crate) fn start() -> Option<Browser> {
        let Some(program) = program() else {
            assert!(
                std::env::var_os("CI").is_none(),
                "no {DRIVER} on this machine, and the build server must have one; tools/setup installs it"
            );
            skipped(
                "the page in a browser",
                "there is no chromedriver on this machine; tools/setup installs it",
            );
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let mut driver = Command::new(program)
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver");
        let said = BufReader::new(driver.stdout.take().expect("its output"));
        let (tell, told) = channel();
        // All of it is read: a driver that nobody reads would wait for room in the pipe.
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once(STARTED) {
                    let _ = tell.send(port.trim_end_matches('.').to_owned());
                }
            }
        });
        let port = told.recv_timeout(PATIENCE).expect("the driver tells its port");
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build()
            .into();
        let mut browser =
            Browser { driver, agent, session: format!("http://127.0.0.1:{port}"), _profile: profile };
        // Tests may run as root and in containers, where the sandbox of the browser does not start.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            format!("--user-data-dir={}", browser._profile.path().join("profile").display()),
        ]);
        let session = browser.command(
            "session",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                // It knows no authority of a test.
                "acceptInsecureCerts": true,
                "goog:chromeOptions": {"args": arguments},
            }}}),
        );
        let id = session["sessionId"].as_str().expect("a session");
        browser.session = format!("{}/session/{id}", browser.session);
        Some(browser)
    }

    /// Posts a command; gives its value.
    #[track_caller]
    pub(crate) fn command(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}/{command}", self.session);
        let sent = self.agent.post(&url).header("Content-Type", "application/json").send(body.to_string());
        let mut answer = sent.unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("an answer");
        let mut answer: Value = serde_json::from_str(&text).expect("JSON");
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{command}: {value}");
        value
    }

    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    /// Runs a script in the page, as the driver does: no policy of the page holds it. Gives what it returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Asks the page until the script returns what is true.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, script: &str) -> Value {
        wait::until(what, || {
            let told = self.run(script);
            let is_so =
                !matches!(told, Value::Null | Value::Bool(false)) && told != json!("") && told != json!(0);
            is_so.then_some(told)
        })
    }

    /// Presses keys, wherever the focus is. A key without a letter is named by its code in WebDriver.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.command("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}));
    }

    /// A command of the browser's own protocol.
    #[track_caller]
    pub(crate) fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The window is so large.
    #[track_caller]
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.chromium("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the browser complained of since this was asked last: errors of scripts, and of policies that something broke.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({"type": "browser"}));
        let lines = log.as_array().expect("a log").iter();
        lines.filter(|line| line["level"] != "INFO").map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the session ends the browser; a driver that is killed would leave it behind.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(DRIVER)).find(|file| file.is_file())
}
