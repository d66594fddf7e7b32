//! Every solution passes.

use proactor_course::{
    engines, first_proactor, framing, kernel_in_hand, lending, never_block, ready_or_done, start,
};

use crate::passes;

#[path = "../../../examples/solutions/ex00_start.rs"]
#[allow(dead_code)]
mod ex00;
#[path = "../../../examples/solutions/ex01_ready_or_done.rs"]
#[allow(dead_code)]
mod ex01;
#[path = "../../../examples/solutions/ex02_kernel_in_hand.rs"]
#[allow(dead_code)]
mod ex02;
#[path = "../../../examples/solutions/ex03_echo.rs"]
#[allow(dead_code)]
mod ex03;
#[path = "../../../examples/solutions/ex04_engines.rs"]
#[allow(dead_code)]
mod ex04;
#[path = "../../../examples/solutions/ex05_lending.rs"]
#[allow(dead_code)]
mod ex05;
#[path = "../../../examples/solutions/ex06_framing.rs"]
#[allow(dead_code)]
mod ex06;
#[path = "../../../examples/solutions/ex07_never_block.rs"]
#[allow(dead_code)]
mod ex07;

#[test]
fn of_exercise_0() {
    passes("ex00", start::check(ex00::greet));
}

#[test]
fn of_exercise_1() {
    passes("ex01", ready_or_done::check(ex01::may_touch));
}

#[test]
fn of_exercise_2() {
    passes("ex02", kernel_in_hand::check(ex02::stop));
}

#[test]
fn of_exercise_3() {
    passes("ex03", first_proactor::check(ex03::serve));
}

#[test]
fn of_exercise_4() {
    passes("ex04", engines::check(ex04::next));
}

#[test]
fn of_exercise_5() {
    passes("ex05", lending::check(ex05::announce));
}

#[test]
fn of_exercise_6() {
    passes("ex06", framing::check(ex06::next_frame));
}

#[test]
fn of_exercise_7() {
    passes("ex07", never_block::check(ex07::serve));
}
