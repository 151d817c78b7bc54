using Transformer.Conversations;

namespace Transformer.Tests.Conversations;

/// <summary>
/// 40 facts about ten people, told over 200 turns of ten conversations. Each fact has four distractors: two with its person and two with
/// its topic, half of them questions. Every person has four facts.
/// </summary>
internal static class ToldFacts
{
    private static readonly string[] People = ["Anna", "Ben", "Carla", "David", "Elena", "Farid", "Greta", "Hugo", "Irina", "Jonas"];

    // Topic, fact, question; NAME is one of the people.
    private static readonly (string Topic, string Fact, string Question)[] Facts =
    [
        ("key", "NAME hides the spare key under the blue flowerpot.", "Where does NAME keep the key for emergencies?"),
        ("dog", "NAME has a dog, and it answers to Biscuit.", "What is the name of NAME's dog?"),
        ("train", "The train that NAME takes leaves at ten past six.", "At what time does NAME's train go?"),
        ("allergy", "Peanuts gave NAME an allergy as a child.", "Which food is NAME's allergy about?"),
        ("birthday", "NAME celebrates a birthday on the third of May.", "When is NAME's birthday?"),
        ("password", "NAME chose tangerine as the wifi password.", "Which password did NAME pick for the network?"),
        ("piano", "NAME started to play the piano at nine.", "How old was NAME at the first piano lesson?"),
        ("car", "NAME drives a green car with a dent in the door.", "Which colour is NAME's car?"),
        ("dentist", "NAME sees the dentist every second Tuesday.", "On which days does NAME go to the dentist?"),
        ("bakery", "NAME buys rye bread at the bakery on Mill Street.", "Where is the bakery that NAME likes?"),
        ("thesis", "NAME writes a thesis about tidal power.", "What is the subject of NAME's thesis?"),
        ("bicycle", "NAME's bicycle was stolen in Lisbon.", "In which city did NAME lose the bicycle?"),
        ("coffee", "NAME drinks coffee with oat milk only.", "How does NAME take coffee?"),
        ("sister", "NAME's sister works as a pilot.", "What is the job of the sister of NAME?"),
        ("garden", "NAME grew pumpkins in the garden last year.", "Which vegetables came from NAME's garden?"),
        ("umbrella", "NAME left an umbrella in the museum.", "Where did NAME forget the umbrella?"),
        ("passport", "NAME's passport expires in March.", "Until when is the passport of NAME valid?"),
        ("chess", "NAME learned chess from a neighbour.", "Who taught NAME chess?"),
        ("guitar", "NAME sold the old guitar for eighty euros.", "How much did NAME get for the guitar?"),
        ("kitchen", "NAME painted the kitchen yellow.", "What does NAME's kitchen look like?"),
        ("lease", "NAME's lease runs for three more years.", "How long will the lease of NAME last?"),
        ("marathon", "NAME finished a marathon in under four hours.", "How fast was NAME in the marathon?"),
        ("glasses", "NAME needs glasses for reading only.", "What does NAME wear glasses for?"),
        ("boat", "NAME named the boat Seagull.", "What is NAME's boat called?"),
        ("recipe", "NAME's secret recipe has cinnamon in it.", "Which spice does NAME put into the recipe?"),
        ("library", "NAME returns books to the library on Fridays.", "When does NAME visit the library?"),
        ("cousin", "NAME's cousin moved to Norway.", "Which country does the cousin of NAME live in?"),
        ("laptop", "NAME's laptop broke when tea ran into it.", "Why did the laptop of NAME stop working?"),
        ("violin", "NAME inherited a violin from a great-aunt.", "Whose violin does NAME have now?"),
        ("hotel", "NAME stayed in room 412 of the hotel.", "Which room had NAME in the hotel?"),
        ("cactus", "NAME waters the cactus once a month.", "How often does NAME's cactus get water?"),
        ("concert", "NAME missed the concert because of a strike.", "For what reason did NAME not see the concert?"),
        ("insurance", "NAME pays forty euros a month for insurance.", "What does the insurance cost NAME?"),
        ("tattoo", "NAME has a tattoo of a swallow.", "What does the tattoo of NAME show?"),
        ("printer", "NAME's printer takes cartridges of type 27.", "Which cartridges fit the printer of NAME?"),
        ("swimming", "NAME goes swimming in the lake before work.", "Where does NAME like swimming?"),
        ("exam", "NAME's exam in statistics is on Monday.", "Which day is the exam that NAME has?"),
        ("cheese", "NAME brought a cheese from Gouda.", "Where is the cheese of NAME from?"),
        ("ladder", "NAME lent the ladder to the Millers.", "Who has NAME's ladder now?"),
        ("stamp", "NAME collects stamps with birds on them.", "What kind of stamp does NAME collect?"),
    ];

    private static readonly string[] AboutPeople =
    [
        "NAME called and asked about the weather again.", "What is NAME doing on Sunday?", "I met NAME in town and we talked for an hour.",
        "When does NAME come back from work?", "NAME says hello to all of you.", "Which film did NAME like so much?",
        "I think NAME was tired after the long trip.", "Where does NAME want to eat tonight?",
    ];

    private static readonly string[] AboutTopics =
    [
        "There was something about a TOPIC on the radio.", "Which TOPIC is the best for the money?",
        "A TOPIC is not what I would spend my time on.", "Where is the nearest place for a TOPIC?",
        "My uncle had a story about a TOPIC for every evening.", "What do people see in a TOPIC?",
    ];

    /// <summary>Tells everything to a memory, in an order that the seed decides.</summary>
    /// <returns>The questions with the turns that answer them.</returns>
    public static IReadOnlyList<(string Question, Turn Fact)> Tell(ConversationMemory memory, int seed)
    {
        var random = new Random(seed);
        var told = new List<(string Text, string? Question)>();
        foreach (var (index, (topic, fact, question)) in Facts.Index())
        {
            string Filled(string text) => text.Replace("NAME", People[index % People.Length]).Replace("TOPIC", topic);
            told.Add((Filled(fact), Filled(question)));
            string[] distractors = [.. random.GetItems(AboutPeople, 2), .. random.GetItems(AboutTopics, 2)];
            told.AddRange(distractors.Select(text => (Filled(text), (string?)null)));
        }
        (string Text, string? Question)[] shuffled = [.. told];
        random.Shuffle(shuffled);
        var facts = new List<(string, Turn)>();
        foreach (var (index, part) in shuffled.Chunk(20).Index())
        {
            var turns = memory.Add($"day {index + 1}", [.. part.Select((turn, at) => (at % 2 == 0 ? "user" : "assistant", turn.Text))]);
            foreach (var (turn, (_, question)) in turns.Zip(part))
                if (question is not null) facts.Add((question, turn));
        }
        return facts;
    }
}
