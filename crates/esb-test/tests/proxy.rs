//! The proxy against a tiny server of our own: nothing is changed, all is recorded, harm is done.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use esb_test::{Connection, Exchange, Fault, LoggingProxy, Rule, request};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(20);

/// Serves until the test process ends; each answer tells what came in.
///
/// - `/length`, `/chunked`, `/close`: 10 payload bytes in that framing
/// - `/echo`: the request's head and payload, as they came
/// - `/early`: an answer before the body is read
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                while serve(&stream, &mut reader).is_some() {}
            });
        }
    });
    address
}

fn serve(mut stream: &TcpStream, reader: &mut BufReader<&TcpStream>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let target = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    let answer = match target.as_str() {
        "/early" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        "/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nX-Sum: 1\r\n\r\n"
            .to_owned(),
        "/close" => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789".to_owned(),
        "/echo" => {
            if head.contains("Expect: 100-continue") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            }
            if head.contains("Transfer-Encoding: chunked") {
                let mut line = String::new();
                while !line.ends_with("0\r\n\r\n") {
                    reader.read_line(&mut line).ok()?;
                }
                body = line.into_bytes();
            } else {
                reader.read_exact(&mut body).ok()?;
            }
            let echo = head + &String::from_utf8_lossy(&body);
            format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{echo}", echo.len())
        }
        _ => {
            reader.read_exact(&mut body).ok()?;
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nDigest: good\r\n\r\n0123456789".to_owned()
        }
    };
    stream.write_all(answer.as_bytes()).ok()?;
    if target == "/close" { None } else { Some(()) }
}

/// Sends raw bytes and reads until the other side closes.
fn raw(address: &str, wire: &str) -> (String, Option<std::io::Error>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(wire.as_bytes()).unwrap();
    let mut got = Vec::new();
    let error = stream.read_to_end(&mut got).err();
    (String::from_utf8(got).unwrap(), error)
}

fn get(proxy: &LoggingProxy, target: &str) -> Result<esb_test::Response, esb_test::Error> {
    request(&proxy.address(), "GET", target, &[], &[], LIMIT)
}

/// One line for each exchange.
fn log(proxy: &LoggingProxy) -> Vec<String> {
    let line = |exchange: Exchange| {
        let Exchange { method, target, status, request_bytes, response_bytes, harmed, .. } =
            exchange;
        let status = status.map_or("-".to_owned(), |status| status.to_string());
        let harmed = if harmed { " harmed" } else { "" };
        format!("{method} {target} {status} {request_bytes}/{response_bytes}{harmed}")
    };
    proxy.requests().into_iter().map(line).collect()
}

#[test]
fn bytes_pass_unchanged_over_one_kept_connection() {
    let upstream = upstream();
    let proxy = LoggingProxy::start(&upstream).unwrap();
    let wire = "POST /echo HTTP/1.1\r\nhOST: registry.example:5\r\nX-odd:  a  \r\n\
                Content-Length: 3\r\n\r\nabc\
                PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                3\r\nabc\r\n0\r\n\r\n\
                GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n\
                GET /close HTTP/1.1\r\nHost: h\r\n\r\n";
    let (direct, _) = raw(&upstream, wire);
    let (proxied, error) = raw(&proxy.address(), wire);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(proxied, direct);
    assert!(direct.contains("hOST: registry.example:5\r\nX-odd:  a  \r\n"), "{direct}");
    assert!(direct.ends_with("0123456789"), "{direct}");
    let echoed = direct.match_indices("HTTP/1.1 201").count();
    assert_eq!(echoed, 2, "{direct}");
    let sizes: Vec<String> = log(&proxy);
    assert_eq!(sizes[2..], ["GET /chunked 200 0/10", "GET /close 200 0/10"]);
    assert!(sizes[0].starts_with("POST /echo 201 3/"), "{sizes:?}");
    assert!(sizes[1].starts_with("PUT /echo 201 3/"), "{sizes:?}");

    assert_eq!(proxy.count("GET", "/c"), 2);
    assert_eq!(proxy.requests()[0].header("Host"), Some("registry.example:5"));
    proxy.clear();
    assert_eq!(log(&proxy), [""; 0]);
}

#[test]
fn heads_without_a_body_keep_the_connection() {
    let upstream = upstream();
    let proxy = LoggingProxy::start(&upstream).unwrap();
    proxy.inject(Rule::on("HEAD", "/missing", Fault::status(404)));
    let wire = "HEAD /missing HTTP/1.1\r\nHost: h\r\n\r\n\
                GET /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let (got, _) = raw(&proxy.address(), wire);
    assert!(got.starts_with("HTTP/1.1 404 "), "{got}");
    assert!(got.ends_with("0123456789"), "{got}");
}

#[test]
fn a_connection_is_kept_and_requests_under_way_are_counted() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    proxy.inject(Rule::on("GET", "/hang", Fault::Hang { time: LIMIT }));
    let mut kept = Connection::open(&proxy.address(), LIMIT).unwrap();
    for body in ["abc", ""] {
        let answer = kept.request("PUT", "/echo", &[("X-Word", "w")], body.as_bytes()).unwrap();
        assert!(answer.text().contains("X-Word: w\r\n"), "{}", answer.text());
        assert!(answer.text().ends_with(&format!("\r\n\r\n{body}")), "{}", answer.text());
    }
    while proxy.under_way() > 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    while proxy.count("GET", "/hang") == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    kept.request("GET", "/length", &[], b"").unwrap();
    let beside: Vec<usize> = proxy.requests().iter().map(|exchange| exchange.beside).collect();
    assert_eq!(beside, [1, 1, 1, 2]);
}

#[test]
fn leave_to_send_a_body_comes_from_upstream() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    reader.read_line(&mut line).unwrap();
    (&stream).write_all(b"abc").unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 201 Created\r\n");
}

#[test]
fn an_answer_before_the_body_reaches_the_client() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = "PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc";
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 403 Forbidden\r\n");
}

#[test]
fn upstream_that_is_not_there_is_a_bad_gateway() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let proxy = LoggingProxy::start(&gone).unwrap();
    assert_eq!(get(&proxy, "/").unwrap().status, 502);
    assert_eq!(log(&proxy), ["GET / 502 0/25"]);
    assert!(LoggingProxy::start("192.0.2.1:80").is_err());
    assert!(LoggingProxy::start("not an address").is_err());
}

/// Injects one fault for `/length` and `/chunked`; gives the body or the error, and the log.
#[track_caller]
fn check(fault: &Fault, body: Result<&str, ()>, status: u16, logged: &str) {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    for target in ["/length", "/chunked"] {
        proxy.clear();
        proxy.inject(Rule::on("GET", target, fault.clone()).times(1));
        let got = get(&proxy, target);
        match (&got, body) {
            (Ok(response), Ok(body)) => {
                assert_eq!((response.text().as_str(), response.status), (body, status));
            }
            (Err(_), Err(())) => {}
            _ => panic!("{fault:?} on {target}: {got:?}"),
        }
        assert_eq!(log(&proxy), [format!("GET {target} {logged} harmed")], "{fault:?}");
        assert_eq!(get(&proxy, target).unwrap().text(), "0123456789", "harmed once only");
    }
}

#[test]
fn answers_suffer_as_the_rule_says() {
    let stall = Fault::Stall { after: 5, time: Duration::from_millis(10) };
    let body = b"slow down".to_vec();
    let headers = vec![("Retry-After".to_owned(), "1".to_owned())];
    check(&Fault::Answer { status: 429, headers, body }, Ok("slow down"), 429, "429 0/9");
    check(&Fault::ResetResponse { after: 5 }, Err(()), 0, "200 0/5");
    check(&Fault::ResetResponse { after: 0 }, Err(()), 0, "200 0/0");
    check(&Fault::Truncate { after: 5 }, Err(()), 0, "200 0/5");
    check(&stall, Ok("0123456789"), 200, "200 0/10");
    check(&Fault::Hang { time: Duration::from_millis(10) }, Ok("0123456789"), 200, "200 0/10");
    check(&Fault::Corrupt { at: 5 }, Ok("01234\u{15}6789"), 200, "200 0/10");
}

#[test]
fn a_reset_is_a_reset_and_a_cut_is_a_cut() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    proxy.inject(Rule::on("GET", "/length", Fault::ResetResponse { after: 5 }).times(1));
    proxy.inject(Rule::on("GET", "/length", Fault::Truncate { after: 5 }));
    let wire = "GET /length HTTP/1.1\r\nHost: h\r\n\r\n";
    let (_, error) = raw(&proxy.address(), wire);
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::ConnectionReset);
    let (got, error) = raw(&proxy.address(), wire);
    assert!(error.is_none(), "{error:?}");
    assert!(got.ends_with("\r\n\r\n01234"), "{got}");
}

#[test]
fn an_upload_is_reset_in_its_middle() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    proxy.inject(Rule::on("PUT", "/length", Fault::ResetRequest { after: 4 }).times(1));
    let put = || request(&proxy.address(), "PUT", "/length", &[], b"0123456789", LIMIT);
    assert!(put().is_err());
    assert_eq!(put().unwrap().text(), "0123456789");
    assert_eq!(log(&proxy), ["PUT /length - 4/0 harmed", "PUT /length 200 10/10"]);
}

#[test]
fn a_header_is_replaced() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    let bad = Fault::Header { name: "digest".to_owned(), value: "bad".to_owned() };
    proxy.inject(Rule::on("GET", "/length", bad));
    let response = get(&proxy, "/length").unwrap();
    assert_eq!((response.header("Digest"), response.text().as_str()), (Some("bad"), "0123456789"));
    proxy.heal();
    assert_eq!(get(&proxy, "/length").unwrap().header("Digest"), Some("good"));
}

#[test]
fn a_stalled_connection_ends_with_the_proxy() {
    let proxy = LoggingProxy::start(&upstream()).unwrap();
    let forever = Fault::Stall { after: 5, time: Duration::from_hours(1) };
    proxy.inject(Rule::on("GET", "/length", forever));
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(b"GET /length HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let mut half = [0; 5];
    reader.read_exact(&mut half).unwrap();
    assert_eq!(&half, b"01234");
    drop(proxy); // returns although the stall is long
}
