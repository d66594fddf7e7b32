//! Mistakes that learners make: each is rejected, and told as what it is.

mod ex00;
mod ex01;
mod ex02;
mod ex03;
mod ex04;
mod ex05;
mod ex06;
mod ex07;
