//! Quizzes: files in the format of mdbook-quiz, checked, and written into the page as a form that needs no script.
//!
//! Without a script a question is its options and a fold with the answer; `assets/quiz.js` adds the button that
//! compares. What this machine asks for beyond the format: every question has an `id`, one answer or several, and a `context`
//! in which each wrong option has a list item of its own that begins with the option in bold, then why it is wrong.
//! An `id` that begins with `idea-` is about an idea; any other answer is recomputed by a test (`tests/quizzes`).

use mdbook_quiz_schema::{MultipleChoice, MultipleChoiceAnswerFormat, Question, Quiz, ShortAnswer};
use pulldown_cmark::{Options, Parser, html};

use crate::escaped;

/// One question, as the machine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name, unique in the book.
    pub id: String,
    /// What is asked, in Markdown.
    pub prompt: String,
    /// The right answers: options, or the text to be typed and what else is taken for it.
    pub right: Vec<String>,
    /// The wrong options. None: the answer is typed.
    pub wrong: Vec<String>,
    /// Why, in Markdown.
    pub why: String,
}

/// The questions of a quiz file, or what is wrong with it.
///
/// Beyond mdbook-quiz's format: every question has an `id` and a `context`, and the `context` has for each wrong
/// option a list item that begins with it in bold.
///
/// # Errors
///
/// The text is not TOML, not a quiz, or lacks that.
pub fn quiz(text: &str) -> Result<Vec<Asked>, String> {
    let quiz: Quiz = toml::from_str(text).map_err(|error| error.to_string())?;
    let questions: Result<Vec<Asked>, String> = quiz.questions.into_iter().map(asked).collect();
    let questions = questions?;
    match questions.is_empty() {
        true => Err("no question".to_owned()),
        false => Ok(questions),
    }
}

fn asked(question: Question) -> Result<Asked, String> {
    let (id, context, prompt, right, wrong) = match question {
        Question::MultipleChoice(MultipleChoice(it)) => {
            let right = match it.answer.answer {
                MultipleChoiceAnswerFormat::Single(one) => vec![one.0],
                MultipleChoiceAnswerFormat::Multi(all) => {
                    all.into_iter().map(|one| one.0).collect()
                }
            };
            let wrong: Vec<String> = it.prompt.distractors.into_iter().map(|one| one.0).collect();
            if wrong.is_empty() || right.is_empty() {
                return Err("a choice without a right and a wrong option".to_owned());
            }
            (it.id, it.context, it.prompt.prompt.0, right, wrong)
        }
        Question::ShortAnswer(ShortAnswer(it)) => {
            let mut right = vec![it.answer.answer];
            right.extend(it.answer.alternatives.unwrap_or_default());
            (it.id, it.context, it.prompt.prompt.0, right, Vec::new())
        }
        Question::Tracing(_) => {
            return Err(
                "a `Tracing` question: no compiler is asked here, use a choice or a short answer"
                    .to_owned(),
            );
        }
    };
    let id = id.ok_or_else(|| format!("no `id`: {prompt:?}"))?;
    let why = context.ok_or_else(|| format!("{id}: no `context`"))?.0;
    for wrong in &wrong {
        if right.contains(wrong) {
            return Err(format!("{id}: {wrong:?} is right and wrong"));
        }
        if !why.contains(&format!("- **{wrong}**")) {
            return Err(format!(
                "{id}: the wrong option {wrong:?} is not explained: the `context` needs an item `- **{wrong}**: why`"
            ));
        }
    }
    Ok(Asked {
        id,
        prompt,
        right,
        wrong,
        why,
    })
}

/// The quiz as it stands in a page: HTML without an empty line.
pub(crate) fn form(questions: &[Asked]) -> String {
    let mut page = String::new();
    for (question, nth) in questions.iter().zip(1..) {
        let Asked { id, prompt, .. } = question;
        let kind = match (question.wrong.len(), question.right.len()) {
            (0, _) => "text",
            (_, 1) => "radio",
            _ => "checkbox",
        };
        let prompt = inline(prompt);
        let fields = match kind {
            "text" => {
                let right: Vec<String> = question.right.iter().map(|it| escaped(it)).collect();
                format!(
                    "<label class=\"quiz-typed\">Your answer: <input type=\"text\" autocomplete=\"off\" \
                     spellcheck=\"false\" data-right=\"{}\"></label>\n",
                    right.join("|")
                )
            }
            kind => options(question)
                .iter()
                .map(|(option, is_right)| {
                    let right = if *is_right { " data-right" } else { "" };
                    let option = inline(option);
                    format!(
                        "<label class=\"quiz-option\"><input type=\"{kind}\" name=\"{id}\"{right}> <span>{option}</span></label>\n"
                    )
                })
                .collect(),
        };
        let several = match kind {
            "checkbox" => " <em class=\"quiz-several\">(more than one)</em>",
            _ => "",
        };
        let right: Vec<String> = question.right.iter().map(|it| inline(it)).collect();
        // Of a typed answer the first is the answer; the others are only taken for it.
        let right = match kind {
            "text" => right[0].clone(),
            _ => right.join("; "),
        };
        let why = block(&question.why);
        page += &format!(
            "<form class=\"quiz\" id=\"{id}\">\n\
             <fieldset><legend><span class=\"quiz-number\">Question {nth}</span> {prompt}{several}</legend>\n{fields}</fieldset>\n\
             <p class=\"quiz-verdict\" role=\"status\"></p>\n\
             <details class=\"quiz-why\"><summary>The answer, and why</summary>\n\
             <p><strong>Right:</strong> {right}</p>\n{why}</details>\n</form>\n"
        );
    }
    // An empty line would end the block of HTML.
    let lines = page.lines().filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<&str>>().join("\n")
}

/// The options in an order that gives nothing away, the same in every build: by a hash (FNV-1a).
fn options(question: &Asked) -> Vec<(&String, bool)> {
    let right = question.right.iter().map(|it| (it, true));
    let wrong = question.wrong.iter().map(|it| (it, false));
    let mut options: Vec<(&String, bool)> = right.chain(wrong).collect();
    options.sort_by_key(|(option, _)| {
        let bytes = question.id.bytes().chain(option.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    });
    options
}

fn block(markdown: &str) -> String {
    let mut out = String::new();
    // Quotation marks as in the rest of the book.
    let options = Options::ENABLE_SMART_PUNCTUATION;
    html::push_html(&mut out, Parser::new_ext(markdown.trim(), options));
    out
}

/// Markdown of one paragraph, without the paragraph.
fn inline(markdown: &str) -> String {
    let out = block(markdown);
    let out = out.trim();
    match out
        .strip_prefix("<p>")
        .and_then(|it| it.strip_suffix("</p>"))
    {
        Some(inside) if !inside.contains("<p>") => inside.to_owned(),
        _ => out.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICE: &str = "[[questions]]\nid = \"idea-a\"\ntype = \"MultipleChoice\"\nprompt.prompt = \"Which `x`?\"\n\
        prompt.distractors = [\"two\", \"three\"]\nanswer.answer = \"one\"\n\
        context = \"Because.\\n\\n- **two**: too many\\n- **three**: more\"\n";

    #[test]
    fn a_choice_becomes_a_form() {
        let questions = quiz(CHOICE).unwrap();
        let form = form(&questions);
        assert!(form.contains("Which <code>x</code>?"), "{form}");
        assert_eq!(form.matches("type=\"radio\"").count(), 3);
        assert_eq!(form.matches("data-right").count(), 1);
        assert!(form.contains("<strong>Right:</strong> one"));
        assert!(!form.contains("\n\n"));
    }

    #[test]
    fn an_answer_is_typed() {
        let text = "[[questions]]\nid = \"a\"\ntype = \"ShortAnswer\"\nprompt.prompt = \"How many?\"\n\
            answer.answer = \"4\"\nanswer.alternatives = [\"four\"]\ncontext = \"So it is.\"\n";
        assert!(form(&quiz(text).unwrap()).contains("data-right=\"4|four\""));
    }

    #[test]
    fn what_is_missing_is_told() {
        for (from, to, what) in [
            ("id = \"idea-a\"\n", "", "no `id`"),
            ("- **three**", "- **four**", "\"three\" is not explained"),
            ("\"two\", ", "\"one\", ", "right and wrong"),
            ("MultipleChoice", "Guess", "unknown variant"),
            ("[\"two\", \"three\"]", "[]", "without a right and a wrong"),
        ] {
            let why = quiz(&CHOICE.replace(from, to)).unwrap_err();
            assert!(why.contains(what), "{what}: {why}");
        }
    }
}
