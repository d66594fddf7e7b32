//! The players in a real browser, where there is one: every story of every player is stepped through, by buttons and by
//! keys. Without a browser this says so and passes; the data of the players is tested in `players.rs` everywhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proactor_book::player::{names, tree};

/// A browser that takes longer than that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Walks through all players of the page that it stands in; what it has seen it writes into `data-seen` of the page.
const DRIVER: &str = r#"<script>
addEventListener("load", () => {
  const seen = [];
  try {
    for (const figure of document.querySelectorAll("figure.player")) {
      const key = (key) => figure.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      const [start, back, step] = figure.querySelectorAll(".player-controls button");
      const choices = () => [...figure.querySelectorAll(".player-choices button")];
      const rows = () => figure.querySelectorAll("tbody tr:not(.player-asked)").length;
      const status = () => figure.querySelector(".player-status").textContent;
      const nodes = new Set();
      let stories = 0;
      const visit = (path) => {
        nodes.add(path.join());
        if (rows() !== path.length + 1) throw `${figure.id}: ${rows()} rows after ${path}`;
        if (step.disabled) {
          if (!status().endsWith("The story is over.")) throw `${figure.id}: ${status()}`;
          stories++;
          return;
        }
        const count = choices().length || 1;
        for (let nth = 0; nth < count; nth++) {
          choices().length ? choices()[nth].click() : step.click();
          visit([...path, nth]);
          back.click();
        }
      };
      visit([]);

      // The keys do what the buttons do.
      start.click();
      if (!back.disabled || !start.disabled) throw `${figure.id}: the beginning has something before it`;
      const before = status();
      key("ArrowRight");
      if (rows() !== 2) throw `${figure.id}: → does not step`;
      key("ArrowLeft");
      if (status() !== before) throw `${figure.id}: ← does not go back`;
      while (!choices().length) key("ArrowRight");
      const label = choices()[1].textContent.slice(1).trim();
      key("2");
      const taken = [...figure.querySelectorAll(".player-asked em")].at(-1).textContent;
      if (taken !== label) throw `${figure.id}: 2 chooses ${taken}, and not ${label}`;
      key("Home");
      if (rows() !== 1) throw `${figure.id}: Home does not begin again`;
      seen.push(`${figure.id.replace("player-", "")} ${nodes.size} ${stories}`);
    }
  } catch (error) {
    seen.push(`error ${error}`);
  }
  document.documentElement.dataset.seen = seen.join("; ");
});
</script></body>"#;

fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let places = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// What the page looks like after its scripts have run.
fn rendered(browser: &Path, page: &Path, profile: &Path) -> Option<String> {
    let out = profile.join("dom.html");
    let file = fs::File::create(&out).unwrap();
    let mut child = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--virtual-time-budget=20000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{} hangs over {}", browser.display(), page.display());
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::read_to_string(out).ok()
}

#[test]
fn every_story_can_be_stepped_through() {
    let Some(browser) = browser() else {
        println!("there is no browser here: nothing was looked at");
        return;
    };
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (into, profile) = (home.join("book-in-browser"), home.join("browser"));
    for folder in [&into, &profile] {
        fs::create_dir_all(folder).unwrap();
    }
    proactor_book::build(&proactor_book::home(), &into).unwrap();
    // The players of all chapters in the page of one of them, so that the browser starts once.
    let mut figures = String::new();
    for entry in fs::read_dir(&into).unwrap() {
        let page = entry.unwrap().path();
        if page.extension().is_some_and(|it| it == "html") && !page.ends_with("print.html") {
            let text = fs::read_to_string(&page).unwrap();
            for (at, _) in text.match_indices("<figure class=\"player\"") {
                let end = text[at..].find("</figure>").expect("a figure ends");
                figures += &text[at..=at + end + "</figure".len()];
            }
        }
    }
    let page = into.join("words.html");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("</main>") && text.contains("</body>"));
    let text = text.replacen("</main>", &format!("{figures}</main>"), 1);
    fs::write(&page, text.replace("</body>", DRIVER)).unwrap();
    let Some(dom) = rendered(&browser, &page, &profile) else {
        println!(
            "{} can't be started: nothing was looked at",
            browser.display()
        );
        return;
    };
    let seen = dom
        .split_once("data-seen=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let (seen, _) = seen.expect("the driver did not run");
    assert!(!seen.contains("error"), "{seen}");
    let mut found: Vec<&str> = seen.split("; ").collect();
    found.sort_unstable();
    let expected = |name: &str| {
        let tree = tree(name).unwrap();
        format!("{name} {} {}", tree.nodes.len(), tree.stories())
    };
    let mut all: Vec<String> = names().into_iter().map(expected).collect();
    all.sort_unstable();
    assert_eq!(found, all);
    fs::remove_dir_all(into).unwrap();
    let _ = fs::remove_dir_all(profile);
}
