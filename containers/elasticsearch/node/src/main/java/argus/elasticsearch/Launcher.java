package argus.elasticsearch;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one node: {@code java -Des.path.home=DIR [-Des.path.conf=DIR] argus.elasticsearch.Launcher [-Ename=value...]}.
 *
 * <p>The stock launcher, with its security manager and modules, is not in Maven Central; the node itself is.
 */
public final class Launcher {
    private static final long STOP_SECONDS = 20;

    private Launcher() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(System.getProperty("es.path.home")).toAbsolutePath().normalize();
        Path configuration = Path.of(System.getProperty("es.path.conf", home.resolve("config").toString()));

        // Reading elasticsearch.yml already logs.
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.builder().put("path.home", home.toString()).build(),
            settings(arguments),
            configuration.toAbsolutePath().normalize(),
            () -> System.getenv().getOrDefault("HOSTNAME", "elasticsearch"));
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, true);

        Node node = new Node(environment, plugins(environment));
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(node, stopped), "elasticsearch-stop"));
        try {
            node.start();
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1);
        }
        stopped.await();
    }

    private static Map<String, String> settings(String[] arguments) {
        Map<String, String> settings = new HashMap<>();
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            if (!argument.startsWith("-E") || equals < 3) {
                throw new IllegalArgumentException("expected -Ename=value, got " + argument);
            }
            settings.put(argument.substring(2, equals), argument.substring(equals + 1));
        }
        return settings;
    }

    /** The layout is the stock one: home/modules/NAME/{plugin-descriptor.properties,*.jar}. */
    private static PluginsLoader plugins(Environment environment) throws Exception {
        Path extra = environment.pluginsDir();
        return PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
            Files.isDirectory(extra) ? PluginsLoader.loadPluginsBundles(extra, false) : Set.of(),
            Map.of());
    }

    private static void stop(Node node, CountDownLatch stopped) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(STOP_SECONDS, TimeUnit.SECONDS);
        } catch (Exception failure) {
            failure.printStackTrace();
        } finally {
            stopped.countDown();
        }
    }
}
