import java.io.*;
import java.security.KeyStore;
import java.security.Security;
import java.util.*;
import javax.net.ssl.*;

/** Suites that OpenJDK 17 still speaks once its security properties allow them: java Suites.java server|client HOST KEYSTORES. */
public class Suites {
    // Name, protocol, suite, key.
    static final String[][] CASES = {
        {"export", "TLSv1", "SSL_RSA_EXPORT_WITH_RC4_40_MD5", "rsa512"},
        {"export_des", "TLSv1", "SSL_RSA_EXPORT_WITH_DES40_CBC_SHA", "rsa512"},
        {"des", "TLSv1", "SSL_RSA_WITH_DES_CBC_SHA", "rsa"},
        {"static_ecdh", "TLSv1.2", "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", "ec"},
        {"ecdhe", "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ec"},
        {"aes", "TLSv1", "TLS_RSA_WITH_AES_128_CBC_SHA", "rsa"},
    };
    static final int PORT = 4700;
    static final char[] PASSWORD = "office".toCharArray();

    static SSLContext context(String folder, String key) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(folder + "/" + key + ".p12")) {
            store.load(in, PASSWORD);
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, PASSWORD);
        TrustManager everybody = new X509ExtendedTrustManager() {
            public void checkClientTrusted(java.security.cert.X509Certificate[] c, String a) {}
            public void checkServerTrusted(java.security.cert.X509Certificate[] c, String a) {}
            public void checkClientTrusted(java.security.cert.X509Certificate[] c, String a, java.net.Socket s) {}
            public void checkServerTrusted(java.security.cert.X509Certificate[] c, String a, java.net.Socket s) {}
            public void checkClientTrusted(java.security.cert.X509Certificate[] c, String a, SSLEngine e) {}
            public void checkServerTrusted(java.security.cert.X509Certificate[] c, String a, SSLEngine e) {}
            public java.security.cert.X509Certificate[] getAcceptedIssuers() { return new java.security.cert.X509Certificate[0]; }
        };
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), new TrustManager[] {everybody}, null);
        return context;
    }

    static void serve(String host, String folder, int place) {
        String[] row = CASES[place];
        try {
            SSLServerSocket listener = (SSLServerSocket) context(folder, row[3]).getServerSocketFactory()
                .createServerSocket(PORT + place, 5, java.net.InetAddress.getByName(host));
            listener.setEnabledProtocols(new String[] {row[1]});
            listener.setEnabledCipherSuites(new String[] {row[2]});
            try (SSLSocket socket = (SSLSocket) listener.accept()) {
                byte[] question = socket.getInputStream().readNBytes(320);
                for (int i = 0; i < 3; i++) socket.getOutputStream().write(question);
            }
        } catch (Exception error) {
            System.err.println(row[0] + " " + error);
        }
    }

    public static void main(String[] words) throws Exception {
        Security.setProperty("jdk.tls.disabledAlgorithms", "");
        Security.setProperty("jdk.tls.legacyAlgorithms", "");
        Security.setProperty("jdk.certpath.disabledAlgorithms", "");
        String host = words[1], folder = words[2];
        if (words[0].equals("server")) {
            Thread[] threads = new Thread[CASES.length];
            for (int i = 0; i < CASES.length; i++) {
                int place = i;
                threads[i] = new Thread(() -> serve(host, folder, place));
                threads[i].start();
            }
            for (Thread thread : threads) thread.join();
            return;
        }
        StringBuilder out = new StringBuilder("{");
        for (int i = 0; i < CASES.length; i++) {
            String[] row = CASES[i];
            String said;
            try (SSLSocket socket = (SSLSocket) context(folder, row[3]).getSocketFactory().createSocket(host, PORT + i)) {
                socket.setEnabledProtocols(new String[] {row[1]});
                socket.setEnabledCipherSuites(new String[] {row[2]});
                socket.getOutputStream().write("question".repeat(40).getBytes());
                socket.getInputStream().readNBytes(960);
                SSLSession session = socket.getSession();
                said = "{\"version\": \"" + session.getProtocol() + "\", \"suite\": \"" + session.getCipherSuite() + "\"}";
            } catch (Exception error) {
                said = "{\"failed\": \"" + error.getMessage() + "\"}";
            }
            out.append(i > 0 ? ",\n" : "\n").append(" \"" + row[0] + "\": {\"port\": " + (PORT + i) + ", \"connections\": [" + said + "]}");
        }
        System.out.println(out.append("\n}"));
    }
}
