//! A service, or whoever can make it say more than one answer, leaves a second one behind the first: on a connection that is
//! used again it would be the next client's.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stack::{Call, at, clock, close, door};

/// The answer that is left behind.
const PLANTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted";

/// A service that answers every request with `answer` and what is planted behind it. They come together: of what comes later
/// nobody can tell that it is no answer to the next request.
async fn serve(answer: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers = [answer, PLANTED].concat();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                    if stream.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_client_gets_none_of_them() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 54\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 54\r\n\r\n",
    ] {
        let service = serve(answer).await;
        let text = format!("project: demo-project\nbackends: {{ api: '{service}' }}\nallow: [allUsers]\n");
        let door = door(&text, &clock());
        for _ in 0..20 {
            let got = Call::get(&at(&door, "/")).send().await;
            assert!(matches!(got.status.as_u16(), 200 | 204 | 304), "{answer:?}: {}", got.status);
            assert!(got.body.is_empty() || got.body == "ok", "{answer:?}: {:?}", got.body);
        }
        close(door).await;
    }
}
