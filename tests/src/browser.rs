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
use serde::Deserialize;
use serde_json::{Value, json};

use crate::environment::{Scratch, unavailable};

const PROGRAM: &str = "chromium-headless-shell";
/// A browser that hangs is ended after so many seconds, and what waits for it fails.
const LIMIT_S: &str = "120";

/// Decodes a picture and counts its colours, in the browser, which can do that anyway.
const STATISTICS: &str = "async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const { width, height } = bitmap;
    const canvas = new OffscreenCanvas(width, height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    const { data } = canvas.getImageData(0, 0, width, height);
    const colours = new Map();
    let light = 0;
    for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
        light += 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        const colour = (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3;
        colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    const pixels = width * height;
    const most_frequent = Math.max(...colours.values()) / pixels;
    return { width, height, lightness: light / pixels / 255, colours: colours.size, most_frequent };
}";

/// What a picture looks like, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Mean luminance: 0 is black, 1 is white.
    pub lightness: f64,
    /// Different colours, 32 steps of red, green and blue each.
    pub colours: u32,
    /// The part of the pixels that has the most frequent one.
    pub most_frequent: f64,
}

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
    /// Says early that there is none: what a page is made of may take long.
    ///
    /// # Errors
    /// There is none, which skips the test; or it does not start.
    pub fn look_for() -> Result<()> {
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
        Ok(())
    }

    /// Starts it.
    ///
    /// # Errors
    /// There is none, which skips the test; or it does not answer.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        Self::look_for()?;
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

    /// What the window shows.
    ///
    /// # Errors
    /// The browser has ended, or gives no picture.
    pub fn screenshot(&mut self) -> Result<Picture> {
        self.picture(&json!({}))
    }

    /// What an element shows, wherever on the page it is.
    ///
    /// # Errors
    /// There is none, or the browser has ended.
    pub fn picture_of(&mut self, element: &str) -> Result<Picture> {
        let place = self.value(&format!(
            "(() => {{ const box = {element}.getBoundingClientRect(); return {{x: box.left + scrollX, y: box.top + scrollY, width: box.width, height: box.height, scale: 1}}; }})()"
        ))?;
        self.picture(&json!({"clip": place, "captureBeyondViewport": true}))
    }

    fn picture(&mut self, parameters: &Value) -> Result<Picture> {
        let shot = self.call("Page.captureScreenshot", parameters.clone())?;
        let data = shot["data"].as_str().context("no picture")?;
        let answer = self.call(
            "Runtime.evaluate",
            json!({"expression": format!("({STATISTICS})('{data}')"), "awaitPromise": true, "returnByValue": true}),
        )?;
        serde_json::from_value(answer["result"]["value"].clone())
            .with_context(|| format!("no statistics of a picture: {answer}"))
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
