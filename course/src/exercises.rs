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
pub const EXERCISES: [Exercise; 4] = [
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
