//! The players and the quizzes in a real browser, where there is one: every story of every player is stepped through, by
//! buttons and by keys, and every question is answered wrongly and rightly. Without a browser this says so and passes; the
//! data is tested in `players.rs` and `quizzes` everywhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proactor_book::player::{names, tree};
use proactor_book::quiz;

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
      // Who works with the keys alone is never lost, and on paper there is a whole story.
      start.click();
      while (!choices().length) step.click();
      choices()[0].focus();
      choices()[0].click();
      if (!figure.contains(document.activeElement)) throw `${figure.id}: the focus is lost`;
      start.click();
      dispatchEvent(new Event("beforeprint"));
      if (!status().endsWith("The story is over.")) throw `${figure.id}: half a story is printed`;
      dispatchEvent(new Event("afterprint"));
      if (rows() !== 1) throw `${figure.id}: printing moves it`;
      key("ArrowRight");
      key("ArrowRight");
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

/// Answers every question of the page: not at all, wrongly, and rightly.
const QUESTIONER: &str = r#"<script>
addEventListener("load", () => {
  const seen = [];
  try {
    for (const form of document.querySelectorAll("form.quiz")) {
      const typed = form.querySelector("[type=text]");
      const boxes = [...form.querySelectorAll("[type=radio], [type=checkbox]")];
      const fold = form.querySelector("details");
      const isRight = (box) => box.hasAttribute("data-right");
      const submit = (expected) => {
        form.querySelector("fieldset button").click();
        const told = form.querySelector(".quiz-verdict").textContent;
        if (told !== expected) throw `${form.id}: ${told}`;
      };
      submit("Choose first.");
      if (fold.open) throw `${form.id}: the answer is open before there is one`;
      if (typed) {
        typed.value = "certainly not";
        submit("Not so.");
        for (const right of typed.dataset.right.split("|")) {
          typed.value = `  ${right.toUpperCase()} `;
          submit("Right.");
        }
      } else {
        for (const wrong of boxes.filter((box) => !isRight(box))) {
          boxes.forEach((box) => (box.checked = false));
          wrong.click();
          submit("Not so.");
          const marked = form.querySelectorAll(".is-right").length;
          if (marked !== boxes.filter(isRight).length) throw `${form.id}: ${marked} are marked as right`;
        }
        boxes.forEach((box) => (box.checked = isRight(box)));
        submit("Right.");
      }
      if (!fold.open) throw `${form.id}: the answer stays closed`;
      seen.push(form.id);
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

/// What the driver has seen of all elements of the book that begin and end so, gathered in one page, so that the
/// browser starts once. None: there is no browser.
fn driven(name: &str, begin: &str, end: &str, driver: &str) -> Option<Vec<String>> {
    let Some(browser) = browser() else {
        println!("there is no browser here: nothing was looked at");
        return None;
    };
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (into, profile) = (
        home.join(format!("book-{name}")),
        home.join(format!("browser-{name}")),
    );
    for folder in [&into, &profile] {
        fs::create_dir_all(folder).unwrap();
    }
    proactor_book::build(&proactor_book::home(), &into).unwrap();
    let mut found = String::new();
    for entry in fs::read_dir(&into).unwrap() {
        let page = entry.unwrap().path();
        // The first page is there twice, and all of them in the one for printers.
        let is_copy = page.ends_with("print.html") || page.ends_with("index.html");
        if page.extension().is_some_and(|it| it == "html") && !is_copy {
            let text = fs::read_to_string(&page).unwrap();
            for (at, _) in text.match_indices(begin) {
                let length = text[at..].find(end).expect("it ends");
                found += &text[at..at + length + end.len()];
            }
        }
    }
    // A page that has none of its own.
    let page = into.join("words.html");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("</main>") && text.contains("</body>"));
    let text = text.replacen("</main>", &format!("{found}</main>"), 1);
    fs::write(&page, text.replace("</body>", driver)).unwrap();
    let Some(dom) = rendered(&browser, &page, &profile) else {
        println!(
            "{} can't be started: nothing was looked at",
            browser.display()
        );
        return None;
    };
    let seen = dom
        .split_once("data-seen=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let (seen, _) = seen.expect("the driver did not run");
    assert!(!seen.contains("error"), "{seen}");
    fs::remove_dir_all(into).unwrap();
    let _ = fs::remove_dir_all(profile);
    let mut seen: Vec<String> = seen.split("; ").map(str::to_owned).collect();
    seen.sort_unstable();
    Some(seen)
}

#[test]
fn every_story_can_be_stepped_through() {
    let figure = "<figure class=\"player\"";
    let Some(found) = driven("players", figure, "</figure>", DRIVER) else {
        return;
    };
    let expected = |name: &str| {
        let tree = tree(name).unwrap();
        format!("{name} {} {}", tree.nodes.len(), tree.stories())
    };
    let mut all: Vec<String> = names().into_iter().map(expected).collect();
    all.sort_unstable();
    assert_eq!(found, all);
}

#[test]
fn every_question_can_be_answered() {
    let form = "<form class=\"quiz\"";
    let Some(found) = driven("quizzes", form, "</form>", QUESTIONER) else {
        return;
    };
    let mut all = Vec::new();
    for entry in fs::read_dir(proactor_book::home().join("src/quizzes")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        all.extend(quiz(&text).unwrap().into_iter().map(|question| question.id));
    }
    all.sort_unstable();
    assert_eq!(found, all);
}
