package com.runtime.agent.logs;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * A keep-alive HTTP/1.1 client for POSTs to one address.
 *
 * <p>Owns one connection, its time limit, and telling apart what certainly did not arrive from what
 * may have. It exists because the JDK's own clients are heavy to load, and retry as they please.
 * Refuses redirects, proxies, response bodies, and more than a bounded answer.
 */
final class Http1 {
    private static final int MAX_HEADER = 64 * 1024;
    private static final int MAX_BODY = 64 * 1024;

    /** A connection that was used this recently is as it was left, most likely; looking takes a millisecond. */
    private static final long FRESH = 1000;

    /** One that was not used for so long may be gone without a word, as after a restored snapshot. */
    private static final long STALE = 30_000;

    /** The request did not reach the server: it may be sent again. */
    static final class NotDelivered extends IOException {
        NotDelivered(Throwable cause) {
            super(cause);
        }
    }

    /** The request went out and no answer came: sending it again could double it. */
    static final class Unconfirmed extends IOException {
        Unconfirmed(Throwable cause) {
            super(cause);
        }
    }

    private final String host;
    private final int port;
    private final boolean tls;
    private final String head;
    private final int timeout;
    private Socket socket;
    /** When the last answer came, by the calendar: the monotonic clock does not count in a snapshot. */
    private long used;

    /**
     * For the address {@code url}; {@code target} follows its path, {@code timeout} is in
     * milliseconds.
     *
     * @throws IllegalArgumentException if the address is not an http or https URL
     */
    Http1(String url, String target, int timeout) {
        URI address = URI.create(url);
        String scheme = String.valueOf(address.getScheme()).toLowerCase(Locale.ROOT);
        tls = scheme.equals("https");
        if (!tls && !scheme.equals("http") || address.getHost() == null) {
            throw new IllegalArgumentException("not an http or https URL");
        }
        String name = address.getHost();
        host = name.startsWith("[") ? name.substring(1, name.length() - 1) : name;
        port = address.getPort() >= 0 ? address.getPort() : tls ? 443 : 80;
        String path = address.getRawPath() == null ? "" : address.getRawPath().replaceAll("/+$", "");
        String authority = address.getPort() >= 0 ? name + ":" + port : name;
        String text =
                "POST " + path + target + " HTTP/1.1\r\nHost: " + authority
                        + "\r\nContent-Type: application/json\r\nAccept: */*\r\n";
        if (address.getUserInfo() != null) {
            byte[] credentials = address.getUserInfo().getBytes(StandardCharsets.UTF_8);
            text += "Authorization: Basic " + Base64.getEncoder().encodeToString(credentials) + "\r\n";
        }
        head = text;
        this.timeout = timeout;
    }

    /** Sends a body and returns the status of the answer; every failure leaves the client usable. */
    int post(byte[] body, int milliseconds) throws NotDelivered, Unconfirmed {
        long deadline = System.nanoTime() + Math.min(milliseconds, timeout) * 1_000_000L;
        if (socket != null && !isUsable()) {
            close();
        }
        boolean reused = socket != null;
        try {
            try {
                return attempt(body, deadline, reused);
            } catch (NotDelivered error) {
                close();
                if (!reused) {
                    throw error;
                }
                return attempt(body, deadline, false);
            }
        } catch (NotDelivered | Unconfirmed error) {
            close();
            throw error;
        }
    }

    private int attempt(byte[] body, long deadline, boolean reused) throws NotDelivered, Unconfirmed {
        ByteArrayOutputStream request = new ByteArrayOutputStream(head.length() + body.length + 32);
        request.writeBytes(head.getBytes(StandardCharsets.ISO_8859_1));
        request.writeBytes(("Content-Length: " + body.length + "\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
        request.writeBytes(body);
        try {
            if (socket == null) {
                connect(deadline);
            }
            left(deadline);
        } catch (IOException | RuntimeException error) {
            throw new NotDelivered(error);
        }
        try {
            request.writeTo(socket.getOutputStream());
            socket.getOutputStream().flush();
        } catch (SocketTimeoutException error) {
            throw new Unconfirmed(error); // time is up in the middle of the body
        } catch (IOException error) {
            throw new NotDelivered(error);
        }
        return answer(deadline, reused);
    }

    private void connect(long deadline) throws IOException {
        Socket plain = new Socket();
        try {
            plain.connect(new InetSocketAddress(host, port), left(deadline));
            plain.setTcpNoDelay(true);
            if (!tls) {
                socket = plain;
                return;
            }
            SSLSocket secure =
                    (SSLSocket) ((SSLSocketFactory) SSLSocketFactory.getDefault()).createSocket(plain, host, port, true);
            SSLParameters parameters = secure.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            secure.setSSLParameters(parameters);
            secure.setSoTimeout(left(deadline));
            secure.startHandshake();
            socket = secure;
        } catch (IOException | RuntimeException error) {
            plain.close();
            throw error;
        }
    }

    private int answer(long deadline, boolean reused) throws NotDelivered, Unconfirmed {
        StringBuilder read = new StringBuilder();
        boolean begun = false;
        try {
            InputStream in = socket.getInputStream();
            byte[] buffer = new byte[2048];
            while (true) {
                int end;
                while ((end = read.indexOf("\r\n\r\n")) < 0) {
                    socket.setSoTimeout(left(deadline));
                    int count = in.read(buffer);
                    if (count < 0 || read.length() > MAX_HEADER) {
                        throw new SocketException("the server closed the connection");
                    }
                    begun = true;
                    read.append(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
                }
                String[] lines = read.substring(0, end).split("\r\n");
                String[] words = lines[0].split(" ", 3);
                if (words.length < 2 || !words[0].startsWith("HTTP/1.") || !words[1].matches("\\d{3}")) {
                    throw new IOException("the answer is not HTTP");
                }
                int status = Integer.parseInt(words[1]);
                read.delete(0, end + 4);
                if (status >= 200) {
                    finish(status, lines, read.length(), in, deadline);
                    used = System.currentTimeMillis();
                    return status;
                }
            }
        } catch (SocketTimeoutException error) {
            throw new Unconfirmed(error);
        } catch (IOException error) {
            // A connection that was kept open may have been closed just before it was used.
            boolean stale = reused && !begun && error instanceof SocketException;
            if (stale) {
                throw new NotDelivered(error);
            }
            throw new Unconfirmed(error);
        }
    }

    /**
     * Reads what is left of the body, of which {@code read} bytes have come, or closes the connection
     * when another answer could not follow it.
     */
    private void finish(int status, String[] lines, int read, InputStream in, long deadline) throws IOException {
        int length = status == 204 || status == 304 ? 0 : -1;
        boolean last = lines[0].startsWith("HTTP/1.0");
        for (String line : lines) {
            String low = line.toLowerCase(Locale.ROOT);
            if (low.startsWith("content-length:") && low.substring(15).strip().matches("\\d{1,9}")) {
                length = length == 0 ? 0 : Integer.parseInt(low.substring(15).strip());
            } else if (low.startsWith("transfer-encoding:") || low.startsWith("connection:") && low.contains("close")) {
                last = true;
            }
        }
        if (last || length < read || length > MAX_BODY) {
            close();
            return;
        }
        length -= read;
        while (length > 0) {
            socket.setSoTimeout(left(deadline));
            long skipped = in.readNBytes(Math.min(length, 8192)).length;
            if (skipped == 0) {
                throw new SocketException("the server closed the connection");
            }
            length -= (int) skipped;
        }
    }

    /** Whether the connection is as it was left; anything readable now is the server's goodbye. */
    private boolean isUsable() {
        long age = System.currentTimeMillis() - used;
        if (age < 0 || age > STALE) {
            return false;
        }
        if (age < FRESH) {
            return true; // `answer` tells when it is not
        }
        try {
            socket.setSoTimeout(1);
            socket.getInputStream().read();
            return false;
        } catch (SocketTimeoutException error) {
            return true;
        } catch (IOException error) {
            return false;
        }
    }

    private void close() {
        Socket old = socket;
        socket = null;
        if (old != null) {
            try {
                old.close();
            } catch (IOException error) {
                return; // it is gone either way
            }
        }
    }

    private static int left(long deadline) throws SocketTimeoutException {
        long milliseconds = (deadline - System.nanoTime()) / 1_000_000;
        if (milliseconds <= 0) {
            throw new SocketTimeoutException("no answer in time");
        }
        return (int) milliseconds;
    }
}
