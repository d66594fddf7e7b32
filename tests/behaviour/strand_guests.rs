//! Strands that meet another proactor than their own.

use std::time::Duration;

use proactor::{Proactor, Strand};

use crate::kernels::on_every_kernel;
use crate::tools::Told;

/// Two proactors, ours and theirs. On a real kernel: a simulated one has one proactor.
fn on_two(body: fn(Proactor, Proactor)) {
    on_every_kernel(|kernel| {
        if !kernel.is_simulated() {
            let ours = kernel.proactor_with_one_worker();
            body(ours, kernel.proactor_with_one_worker());
        }
    });
}

#[test]
fn a_post_from_a_handler_of_another_proactor_runs_where_the_strand_belongs() {
    on_two(|ours, theirs| {
        let (strand, told) = (Strand::new(&theirs), Told::nothing());
        for name in ["first", "second"] {
            let (strand, tell) = (strand.clone(), told.clone());
            ours.post(move || strand.post(move || tell.tell(name)));
        }
        ours.run().unwrap();
        assert_eq!(told.count(), 0, "their worker has not run");
        theirs.run().unwrap();
        assert_eq!(told.take(), ["first", "second"]);
    });
}

#[test]
fn an_operation_of_another_proactor_has_its_handler_at_home_and_the_strand_goes_back() {
    on_two(|ours, theirs| {
        let (strand, told) = (Strand::new(&theirs), Told::nothing());
        let (inside, tell) = (strand.clone(), told.clone());
        ours.sleep(Duration::ZERO).on(&strand).then(move |slept| {
            slept.unwrap();
            assert!(inside.is_inside());
            tell.tell("slept");
            inside.post(move || tell.tell("posted by it"));
        });
        ours.run().unwrap();
        assert_eq!(told.take(), ["slept"], "on our worker");
        theirs.run().unwrap();
        assert_eq!(told.take(), ["posted by it"], "on theirs");
    });
}

#[test]
fn a_proactor_that_dies_takes_its_operations_along_and_not_the_strand() {
    on_two(|ours, theirs| {
        let (strand, told) = (Strand::new(&theirs), Told::nothing());
        // It waits on the strand, behind a handler, when our worker has gone.
        let (last, tell) = (strand.clone(), told.clone());
        strand.post(move || {
            tell.tell("before");
            last.post(move || tell.tell("behind"));
        });
        let tell = told.clone();
        ours.sleep(Duration::ZERO)
            .on(&strand)
            .then(move |_| tell.tell("of the dead"));
        ours.run().unwrap();
        assert_eq!(told.count(), 0, "the strand is busy");
        assert!(
            ours.dump()
                .contains("sleep (done, its handler waits for its strand)"),
            "{}",
            ours.dump()
        );
        // The strand goes over to our worker, which nobody runs any more.
        theirs.run().unwrap();
        assert_eq!(told.take(), ["before"]);
        drop(ours);
        theirs.run().unwrap();
        assert_eq!(told.take(), ["behind"]);
        strand.post({
            let tell = told.clone();
            move || tell.tell("and so on")
        });
        theirs.run().unwrap();
        assert_eq!(told.take(), ["and so on"]);
    });
}

#[test]
fn a_strand_whose_proactor_is_gone_still_has_the_handlers_of_others() {
    on_two(|ours, theirs| {
        let (strand, told) = (Strand::new(&theirs), Told::nothing());
        drop(theirs);
        let (inside, tell) = (strand.clone(), told.clone());
        // Nothing of the strand's runs or waits, so the handler has it to itself.
        ours.sleep(Duration::ZERO).on(&strand).then(move |_| {
            tell.tell("slept");
            inside.post(move || tell.tell("posted to the dead"));
        });
        ours.run().unwrap();
        assert_eq!(told.take(), ["slept", "posted to the dead"]);
    });
}
