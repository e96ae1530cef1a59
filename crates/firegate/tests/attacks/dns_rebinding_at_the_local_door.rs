//! DNS rebinding: a page of the Internet points its own name at this machine, and is of the same origin as what it finds
//! there.

use firegate::dev::DevArguments;

use crate::stack::{Call, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn the_local_door_answers_only_to_this_machines_names() {
    let stack = Stack::with(DevArguments::default()).await;
    let token = stack.id_token().await;
    for (host, status) in [
        ("evil.example:9080", 400),
        ("localhost.evil.example", 400),
        ("localhost:9080", 200),
        ("10.0.2.2:9080", 200),
    ] {
        let answer = Call::get(&stack.door("/")).header("host", host).bearer(&token).send().await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
    }
    stack.stop().await;
}
