import java.time.Duration;
import java.util.concurrent.Semaphore;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/**
 * OkHttp, which gives up after ten seconds of silence, and leaves coming back to its user.
 *
 * <pre>java -cp 'build/*:build' Program URL-OF-THE-STREAM</pre>
 */
public class Program extends EventSourceListener {
    private final Semaphore ended = new Semaphore(0);
    private String lastId = "";

    public static void main(String[] arguments) throws InterruptedException {
        new Program().follow(arguments[0] + "?keepalive_seconds=5");
    }

    private void follow(String url) throws InterruptedException {
        EventSource.Factory factory = EventSources.createFactory(new OkHttpClient());
        while (true) {
            Request.Builder request = new Request.Builder().url(url);
            if (!lastId.isEmpty()) {
                request.header("Last-Event-ID", lastId);
            }
            factory.newEventSource(request.build(), this);
            ended.acquire();
            Thread.sleep(Duration.ofSeconds(1).toMillis());
        }
    }

    @Override
    public void onEvent(EventSource source, String id, String type, String data) {
        lastId = id;
        String kind = type == null ? "message" : type;
        System.out.println("{\"id\":\"" + id + "\",\"type\":\"" + kind + "\",\"envelope\":" + data + "}");
    }

    @Override
    public void onClosed(EventSource source) {
        ended.release();
    }

    @Override
    public void onFailure(EventSource source, Throwable error, Response answer) {
        ended.release();
    }
}
