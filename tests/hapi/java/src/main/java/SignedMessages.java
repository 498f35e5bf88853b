import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Signs or checks messages by com.standardwebhooks:standardwebhooks.
 * Reads [{"secret", "id", "at", "body", "headers"?}]; prints of each its signature, or with headers what is wrong, or "".
 */
public class SignedMessages {
  public static void main(String[] none) throws Exception {
    ObjectMapper json = new ObjectMapper();
    ArrayNode answers = json.createArrayNode();
    for (JsonNode one : json.readTree(System.in))
      answers.add(answer(one));
    System.out.println(json.writeValueAsString(answers));
  }

  private static String answer(JsonNode one) throws Exception {
    Webhook hook = new Webhook(one.get("secret").asText());
    String body = one.get("body").asText();
    if (!one.has("headers"))
      return hook.sign(one.get("id").asText(), one.get("at").asLong(), body);
    Map<String, List<String>> headers = new HashMap<>();
    one.get("headers").fields().forEachRemaining(each -> headers.put(each.getKey(), List.of(each.getValue().asText())));
    try {
      hook.verify(body, headers);
      return "";
    } catch (WebhookVerificationException wrong) {
      return wrong.getMessage();
    }
  }
}
