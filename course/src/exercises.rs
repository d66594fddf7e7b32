//! The exercises: their names, chapters, hints, and their texts as they were before anybody solved them.

/// One exercise.
#[derive(Clone, Copy, Debug)]
pub struct Exercise {
    /// Of its example: `ex03_echo`.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// The file of its chapter in `book/src`.
    pub chapter: &'static str,
    /// A nudge; the invariant and where it breaks; the shape of the code.
    pub hints: [&'static str; 3],
    /// Its text, as it comes.
    pub stub: &'static str,
    /// A solution, with the reasons.
    pub solution: &'static str,
}

/// All of them, in order.
pub const EXERCISES: [Exercise; 8] = [
    Exercise {
        name: "ex00_start",
        title: "run it, then break it",
        chapter: "start.md",
        hints: [
            "It is solved already: run it and read what was proved.",
            "Put `stream.write(GREETING)` in the place of `write_all`. A write takes as much as the kernel has \
             room for.",
            "Leave `set_linger` out. How should a client tell an end from a failure?",
        ],
        stub: include_str!("../stubs/ex00_start.rs"),
        solution: include_str!("../../examples/solutions/ex00_start.rs"),
    },
    Exercise {
        name: "ex01_ready_or_done",
        title: "whose is the buffer now?",
        chapter: "ready-or-done.md",
        hints: [
            "Which events move the buffer? Go through them one by one, and ask who can write into it just \
             afterwards.",
            "I2: nobody touches a lent buffer until its terminal completion. Bytes that have arrived, a cancel that was \
             asked for, a completion that is still in the queue: none of them is a completion that you were told.",
            "Look at the story from its end: `story.iter().rev().find(…)` for the last event that moved the buffer. \
             There are two kinds of such events.",
        ],
        stub: include_str!("../stubs/ex01_ready_or_done.rs"),
        solution: include_str!("../../examples/solutions/ex01_ready_or_done.rs"),
    },
    Exercise {
        name: "ex02_kernel_in_hand",
        title: "stop a receive, and lose nothing",
        chapter: "kernel-in-hand.md",
        hints: [
            "A cancel is a question. Who answers it, and when may you look at the answer?",
            "I2: the buffer is the kernel's until the receive's own completion. I7: a completion that you take out \
             of the queue is told nobody else. I8: bytes that a receive has taken are nowhere else.",
            "`kernel.cancel(recv)`, then `while let Some(done) = kernel.next()`: if `done.op` is another's it goes into the \
             inbox; if it is the receive's, `done.result` says whether `done.buf` holds anything.",
        ],
        stub: include_str!("../stubs/ex02_kernel_in_hand.rs"),
        solution: include_str!("../../examples/solutions/ex02_kernel_in_hand.rs"),
    },
    Exercise {
        name: "ex03_echo",
        title: "an echo server that says goodbye",
        chapter: "first-proactor.md",
        hints: [
            "Three ends are possible for a read: bytes, no bytes, an error. Each wants something else from you.",
            "How much does `write` send? What does a client think of a connection that simply ends? And how often may a \
             read be started after one that brought 0 bytes (I7: it would go on for ever)?",
            "`stream.read(Vec::with_capacity(64)).then(move |(read, buffer)| match read { Ok(0) => …, Ok(_) => …, \
             Err(_) => … })`. In the middle one `compose::write_all(&stream, buffer).then(…)`, and in its handler \
             `serve(stream)` again.",
        ],
        stub: include_str!("../stubs/ex03_echo.rs"),
        solution: include_str!("../../examples/solutions/ex03_echo.rs"),
    },
    Exercise {
        name: "ex04_engines",
        title: "a read, over what is merely ready",
        chapter: "engines.md",
        hints: [
            "A hint may be false: what does a read do whose try would block? And what may a program not do between two tries?",
            "I1: \"would block\" ends nothing, and an end is told once. I7: every read that was initiated is told how it ended, with an error if need be. And the first bytes of a stream belong to the read that was initiated first.",
            "`loop { let ready = kernel.wait(&streams); if ready.is_empty() { return None } for stream in ready { … } }`, and inside: the first of `waiting` with this stream, `try_read` into its buffer, and on anything but `WouldBlock` `waiting.remove(…)` and `return Some(Done { … })`.",
        ],
        stub: include_str!("../stubs/ex04_engines.rs"),
        solution: include_str!("../../examples/solutions/ex04_engines.rs"),
    },
    Exercise {
        name: "ex05_lending",
        title: "one page, and news that do not wait",
        chapter: "lending.md",
        hints: [
            "From when until when is the page lent? Find the two lines between which nobody may write on it.",
            "I2: nobody touches a lent buffer until its terminal completion. `write_all` has that in its handler, and only the handler knows that the page is back.",
            "In `announce`: lock the state; if the page is lent, `waiting.push_back(news)`; else `is_lent = true`, unlock, `send`. In the handler: `waiting.pop_front()`; there is one: send it, else `is_lent = false`.",
        ],
        stub: include_str!("../stubs/ex05_lending.rs"),
        solution: include_str!("../../examples/solutions/ex05_lending.rs"),
    },
    Exercise {
        name: "ex06_framing",
        title: "frames out of a stream",
        chapter: "framing.md",
        hints: [
            "How many bytes does a read bring? And how long is a frame whose length is four bytes of 255?",
            "There are three ends: between two frames, in a length, in a body. Only the first is in good order. A length is looked at before room is made for it.",
            "`compose::read_exact(stream, vec![0; 4]).await` gives the header. Its error carries `compose::Interrupted`: with `done == 0` and the cause `EndOfFile` it is `Ok(None)`. Then the length, then `read_exact` for the body.",
        ],
        stub: include_str!("../stubs/ex06_framing.rs"),
        solution: include_str!("../../examples/solutions/ex06_framing.rs"),
    },
    Exercise {
        name: "ex07_never_block",
        title: "answers that cost 50 ms",
        chapter: "never-block.md",
        hints: [
            "A handler that computes holds up everybody else. Who could do it instead, and how do you hear that it is done?",
            "I9: a handler keeps within its time budget. `stream.handle().offload(work)` is an operation like any other, and its result may be an error: the pool is bounded.",
            "`read_exact(…).then(|…| offload(move || digest(&request)).then(|digested| match digested { Ok(digest) => …, Err(error) => match OffloadError::in_error(&error) { Some(OffloadError::Full { .. }) => BUSY …` and after `write_all` serve again.",
        ],
        stub: include_str!("../stubs/ex07_never_block.rs"),
        solution: include_str!("../../examples/solutions/ex07_never_block.rs"),
    },
];

impl Exercise {
    /// The one that is meant by `3`, `03`, `ex03` or its name.
    #[must_use]
    pub fn find(word: &str) -> Option<&'static Exercise> {
        let digits = word.strip_prefix("ex").unwrap_or(word);
        match digits.parse::<usize>() {
            Ok(number) => EXERCISES.get(number),
            Err(_) => EXERCISES.iter().find(|it| it.name == word),
        }
    }

    /// Its number: its place.
    #[must_use]
    pub fn number(&self) -> usize {
        EXERCISES
            .iter()
            .position(|it| it.name == self.name)
            .unwrap_or(0)
    }
}
