//! Every solution passes.

use proactor_course::{first_proactor, kernel_in_hand, ready_or_done, start};

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
