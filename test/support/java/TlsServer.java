import java.io.FileInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * A server over mutual TLS whose key, chain and trust anchors are keystores of a volume. It loads them again whenever the volume's
 * directory changes: every connection is made with what was loaded last. Prints the port that it listens on.
 *
 *     java TlsServer.java <volume>
 */
public class TlsServer {
    private static volatile SSLContext context;

    public static void main(String[] args) throws Exception {
        Path volume = Path.of(args[0]);
        try (WatchService watch = volume.getFileSystem().newWatchService();
                ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            volume.register(watch, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY);
            context = load(volume);
            Thread accepting = new Thread(() -> accept(server));
            accepting.setDaemon(true);
            accepting.start();
            System.out.println(server.getLocalPort());
            for (;;) {
                WatchKey key = watch.take();
                key.pollEvents();
                key.reset();
                context = load(volume);
            }
        }
    }

    private static SSLContext load(Path volume) throws Exception {
        char[] password = Files.readString(volume.resolve("keystore.password")).toCharArray();
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(open(volume.resolve("keystore.p12"), password), password);
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        // Without a password, as where javax.net.ssl.trustStorePassword is not set.
        trust.init(open(volume.resolve("truststore.p12"), null));
        SSLContext loaded = SSLContext.getInstance("TLS");
        loaded.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return loaded;
    }

    private static KeyStore open(Path file, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream bytes = new FileInputStream(file.toFile())) {
            store.load(bytes, password);
        }
        return store;
    }

    private static void accept(ServerSocket server) {
        for (;;) {
            try {
                Socket plain = server.accept();
                Thread greeting = new Thread(() -> greet(plain));
                greeting.setDaemon(true);
                greeting.start();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static void greet(Socket plain) {
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, null, true)) {
            socket.setUseClientMode(false);
            socket.setNeedClientAuth(true);
            socket.startHandshake();
            socket.getOutputStream().write("hello\n".getBytes(StandardCharsets.UTF_8));
        } catch (Exception error) {
            // A client that is not trusted: it hears of that itself.
        }
    }
}
