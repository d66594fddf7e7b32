//! Executions decided by bytes, and by each strategy, through the public API.

use proactor::check::{Checker, Choices, Strategy};

use crate::models::{frame, one_read, whole_frame};

#[test]
fn bytes_find_what_they_ask_for_and_the_report_is_shrunk() {
    let mut fuzz = Checker::new()
        .name("frames")
        .fuzz(|sim| frame(sim, one_read));
    // No bytes: kind. And kind it passes.
    fuzz.run(Choices::default());
    let pairs = (0..40).flat_map(|at| (0..20).map(move |on| (at, on)));
    let failing = pairs
        .map(|(at, on)| Choices([vec![0; at], vec![1], vec![0; on], vec![1]].concat()))
        .find_map(|choices| fuzz.try_run(choices).err())
        .expect("a short send, and a late one");
    assert_eq!(failing.deviations().len(), 2, "{failing}");
    assert!(failing.replay().is_some_and(|replay| replay.contains('=')));
    // More bytes than decisions are ignored.
    let mut mended = Checker::new().fuzz(|sim| frame(sim, whole_frame));
    for byte in 0..8 {
        mended.run(vec![byte; 500]);
    }
}

#[test]
#[should_panic = "fails: panic"]
fn a_failing_input_panics_with_the_report() {
    let mut fuzz = Checker::new().fuzz(|_| panic!("on purpose"));
    fuzz.run([]);
}

#[test]
fn each_strategy_finds_the_short_read_and_the_same_one_twice() {
    for strategy in Strategy::ALL {
        let check = |threads| {
            let checker = Checker::new().name("frames").strategy(strategy);
            let checker = checker.deviations(0).executions(2_000).threads(threads);
            checker
                .run(|sim| frame(sim, one_read))
                .expect_err(strategy.name())
        };
        let (one, two) = (check(1), check(2));
        assert_eq!(one.to_string(), two.to_string(), "{strategy:?}");
        assert_eq!(one.executions(), two.executions());
        let all_needed = one.to_string().contains("all are needed");
        assert!(all_needed, "{one}");
    }
}

/// What proptest, bolero and libFuzzer make of `Choices`: anything, from which a failure is shrunk.
#[cfg(feature = "arbitrary")]
#[test]
fn arbitrary_choices_find_it_as_well() {
    use arbitrary::{Arbitrary, Unstructured};
    use rand::{Rng, SeedableRng};

    let mut fuzz = Checker::new()
        .name("frames")
        .fuzz(|sim| frame(sim, one_read));
    let mut dice = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
    let failing = (0..2_000).find_map(|_| {
        let mut bytes = [0; 128];
        dice.fill_bytes(&mut bytes);
        // Zero is kind: with any bytes a kernel would be unkind nearly everywhere.
        for byte in &mut bytes {
            *byte = byte.saturating_sub(224);
        }
        let choices = Choices::arbitrary(&mut Unstructured::new(&bytes)).expect("any bytes do");
        fuzz.try_run(choices).err()
    });
    let failing = failing.expect("a short send, and a late one");
    assert_eq!(failing.deviations().len(), 2, "{failing}");
}
