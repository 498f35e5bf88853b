import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.interceptor.api.IInterceptorService;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HibernatePropertiesProvider;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.config.util.ResourceCountCacheUtil;
import ca.uhn.fhir.jpa.dao.FulltextSearchSvcImpl;
import ca.uhn.fhir.jpa.dao.IFulltextSearchSvc;
import ca.uhn.fhir.jpa.dao.search.HSearchSortHelperImpl;
import ca.uhn.fhir.jpa.dao.search.IHSearchSortHelper;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import ca.uhn.fhir.jpa.provider.DaoRegistryResourceSupportedSvc;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.search.IStaleSearchDeletingSvc;
import ca.uhn.fhir.jpa.search.StaleSearchDeletingSvcImpl;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.util.ResourceCountCache;
import ca.uhn.fhir.rest.api.IResourceSupportedSvc;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Path;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.hibernate.dialect.Dialect;
import org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType;
import org.springframework.beans.BeanWrapperImpl;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A real HAPI FHIR JPA server (R4) in this process: H2 in memory (or -Ddb=JDBC-URL of H2 or PostgreSQL),
 * Jetty on 127.0.0.1.
 * Prints "READY url" when it listens. -Dport=0 (a free one), -Dhapi.NAME=VALUE sets any property of JpaStorageSettings,
 * -Dstrict=FILE: it takes as little as that file says (Strict).
 */
@Configuration
@Import({JpaR4Config.class, ThreadPoolFactoryConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class,
    SubscriptionSubmitterConfig.class, SubscriptionProcessorConfig.class, SubscriptionChannelConfig.class})
public class HapiServer {
  static final String DATABASE = System.getProperty("db", "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1");

  public static void main(String[] args) throws Exception {
    Parent.dieWithIt();
    RestfulServer fhir = new AnnotationConfigApplicationContext(HapiServer.class).getBean(RestfulServer.class);
    Server jetty = new Server();
    ServerConnector connector = new ServerConnector(jetty);
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.getInteger("port", 0));
    jetty.addConnector(connector);
    ServletContextHandler web = new ServletContextHandler("/");
    web.addServlet(new ServletHolder(fhir), "/fhir/*");
    jetty.setHandler(web);
    jetty.start();
    System.out.println("READY http://127.0.0.1:" + connector.getLocalPort() + "/fhir");
    jetty.join();
  }

  @Bean
  JpaStorageSettings storageSettings() {
    JpaStorageSettings settings = new JpaStorageSettings();
    settings.setAllowInlineMatchUrlReferences(true);
    BeanWrapperImpl properties = new BeanWrapperImpl(settings);
    for (String name : System.getProperties().stringPropertyNames())
      if (name.startsWith("hapi."))
        properties.setPropertyValue(name.substring("hapi.".length()), System.getProperty(name));
    return settings;
  }

  @Bean
  SubscriptionSettings subscriptionSettings() {
    SubscriptionSettings settings = new SubscriptionSettings();
    settings.addSupportedSubscriptionType(SubscriptionChannelType.RESTHOOK);
    settings.setSubscriptionChangeQueuedImmediately(true); // not by a job that runs every five seconds
    return settings;
  }

  @Bean
  DataSource dataSource() {
    BasicDataSource source = new BasicDataSource();
    source.setUrl(DATABASE);
    source.setUsername("sa");
    source.setMaxTotal(40);
    return source;
  }

  @Bean
  LocalContainerEntityManagerFactoryBean entityManagerFactory(
      ConfigurableListableBeanFactory beans, FhirContext context, JpaStorageSettings settings, DataSource source) {
    var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, context, settings);
    factory.setPersistenceUnitName("HAPI_PU");
    factory.setDataSource(source);
    factory.setJpaPropertyMap(Map.of(
        "hibernate.dialect", ofDatabase().getClass().getName(),
        "hibernate.hbm2ddl.auto", "update",
        "hibernate.jdbc.batch_size", "20",
        "hibernate.search.enabled", "false",
        "hibernate.cache.use_query_cache", "false",
        "hibernate.cache.use_second_level_cache", "false"));
    return factory;
  }

  @Bean
  @Primary
  HibernatePropertiesProvider dialect() {
    return new HibernatePropertiesProvider() {
      @Override
      public Dialect getDialect() {
        return ofDatabase();
      }
    };
  }

  static Dialect ofDatabase() {
    return DATABASE.startsWith("jdbc:postgresql:") ? new HapiFhirPostgresDialect() : new HapiFhirH2Dialect();
  }

  @Bean
  @Primary
  JpaTransactionManager transactionManager(EntityManagerFactory factory) {
    return new JpaTransactionManager(factory);
  }

  @Bean
  RestfulServer restfulServer(
      FhirContext context, IFhirSystemDao<?, ?> systemDao, IJpaSystemProvider system, ResourceProviderFactory providers,
      JpaStorageSettings settings, ISearchParamRegistry parameters, IValidationSupport support,
      DatabaseBackedPagingProvider paging, IInterceptorService interceptors) {
    RestfulServer server = new RestfulServer(context);
    server.setInterceptorService(interceptors); // before any interceptor is registered, or that one is lost
    server.registerProviders(providers.createProviders());
    server.registerProvider(system);
    server.setServerConformanceProvider(
        new JpaCapabilityStatementProvider(server, systemDao, settings, parameters, support));
    server.setPagingProvider(paging);
    if (System.getProperty("strict") != null)
      server.registerInterceptor(new Strict(Path.of(System.getProperty("strict"))));
    return server;
  }

  // What JpaR4Config wants to be given.
  @Bean PartitionSettings partitionSettings() { return new PartitionSettings(); }
  @Bean IFulltextSearchSvc fullTextSearchSvc() { return new FulltextSearchSvcImpl(); }
  @Bean IHSearchSortHelper hSearchSortHelper(ISearchParamRegistry parameters) { return new HSearchSortHelperImpl(parameters); }
  @Bean(name = "myResourceCountsCache")
  ResourceCountCache resourceCounts(IFhirSystemDao<?, ?> dao) { return ResourceCountCacheUtil.newResourceCountCache(dao); }
  @Bean IEmailSender emailSender() { return details -> { throw new UnsupportedOperationException("no e-mail in tests"); }; }
  @Bean IBinaryStorageSvc binaryStorageSvc() { return new MemoryBinaryStorageSvcImpl(); }
  @Bean IStaleSearchDeletingSvc staleSearchDeletingSvc() { return new StaleSearchDeletingSvcImpl(); }
  @Bean DatabaseBackedPagingProvider pagingProvider() { return new DatabaseBackedPagingProvider(); }
  @Bean IResourceSupportedSvc resourceSupportedSvc(IDaoRegistry registry) { return new DaoRegistryResourceSupportedSvc(registry); }
}
