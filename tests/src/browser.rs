//! A page in a real browser: Chromium without a screen, spoken to by its DevTools protocol through two pipes.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};

use crate::environment::{Scratch, unavailable};

const PROGRAM: &str = "chromium-headless-shell";
/// A browser that hangs is ended after so many seconds, and what waits for it fails.
const LIMIT_S: &str = "120";

/// A browser with one page.
pub struct Browser {
    child: Child,
    orders: File,
    answers: BufReader<File>,
    number: u64,
    session: Option<String>,
    /// Errors that the page's script or the browser has reported.
    errors: Vec<String>,
}

impl Browser {
    /// Starts it.
    ///
    /// # Errors
    /// There is none, which skips the test; or it does not answer.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        let version = Command::new(PROGRAM).arg("--version").output();
        match version {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(unavailable(format!("there is no {PROGRAM}")));
            }
            Err(error) => return Err(error).context("run the browser"),
            Ok(output) => ensure!(
                output.status.success(),
                "the browser does not start: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
        let folder = scratch.fresh_directory("browser")?;
        let (orders, answers) = (folder.join("orders"), folder.join("answers"));
        for pipe in [&orders, &answers] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR).context("make a pipe")?;
        }
        // It takes orders from descriptor 3 and answers on 4.
        let child = Command::new("sh")
            .args([
                "-c",
                "exec timeout \"$0\" \"$@\" 3<\"$ORDERS\" 4>\"$ANSWERS\"",
                LIMIT_S,
                PROGRAM,
            ])
            .args([
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", folder.join("data").display()))
            .arg("about:blank")
            .env("ORDERS", &orders)
            .env("ANSWERS", &answers)
            .env("HOME", &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the browser")?;
        let mut browser = Self {
            child,
            orders: fs::OpenOptions::new().write(true).open(&orders)?,
            answers: BufReader::new(File::open(&answers)?),
            number: 0,
            session: None,
            errors: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file in a window of this width, and waits until its script has come to its end.
    ///
    /// # Errors
    /// It does not within the limit.
    pub fn open(&mut self, page: &Path, width: u32, dark: bool) -> Result<Duration> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        )?;
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        )?;
        let began = Instant::now();
        self.call(
            "Page.navigate",
            json!({"url": format!("file://{}", page.display())}),
        )?;
        while self.value("document.documentElement?.dataset.ready")? != json!("yes") {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "the page's script has not ended"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(began.elapsed())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// It throws.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true}),
        )?;
        ensure!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        Ok(answer["result"]["value"].clone())
    }

    /// The mouse at a place of the window: `mouseMoved`, `mousePressed` or `mouseReleased`.
    ///
    /// # Errors
    /// The browser has ended.
    pub fn mouse(&mut self, kind: &str, x: f64, y: f64) -> Result<()> {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        self.call(
            "Input.dispatchMouseEvent",
            json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": 1}),
        )?;
        Ok(())
    }

    /// What the window shows, as text of a PNG (base64).
    ///
    /// # Errors
    /// The browser has ended.
    pub fn screenshot(&mut self) -> Result<String> {
        let shot = self.call("Page.captureScreenshot", json!({}))?;
        Ok(shot["data"].as_str().context("no picture")?.to_owned())
    }

    /// What the page's script or the browser has complained of.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&order)?;
        bytes.push(0);
        self.orders
            .write_all(&bytes)
            .context("the browser has ended")?;
        loop {
            let mut bytes = Vec::new();
            self.answers.read_until(0, &mut bytes)?;
            ensure!(bytes.pop() == Some(0), "the browser has ended");
            let message: Value = serde_json::from_slice(&bytes)?;
            if message["id"] == json!(self.number) {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].clone());
            }
            let event = message["method"].as_str().unwrap_or_default();
            if matches!(
                event,
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded"
            ) {
                self.errors.push(message["params"].to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call("Browser.close", json!({}));
        // It ends by itself, and its processes with it; what is killed would leave them.
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
