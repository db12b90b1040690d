/** German, of the page that explains bill and privacy. Each sentence is true by docs/threat-model.md. */
import type { explained as english } from '../en/explained.ts';

export const explained: Record<keyof typeof english, string> = {
  'explained.title': 'Ihre Rechnung und Ihre Privatsphäre',
  'explained.short': 'Kurz gesagt',
  'explained.short1':
    'Stromzähler, die jede Viertelstunde melden, können zeigen, wann jemand zu Hause ist, schläft, kocht oder verreist ist. Dieser hier ist anders gebaut: Wer wissen muss, <em>wie viel</em> es ist, erfährt nicht, <em>von wem</em> es kommt; und wer weiß, <em>von wem</em>, erfährt nicht, <em>wann</em> es war.',
  'explained.short2':
    'Ihre Rechnung wird in Ihrem Haus berechnet. Jeden Monat geht eine Zahl an Ihren Versorger: was Sie zu zahlen haben.',
  'explained.bill': 'Wie Ihre Rechnung entsteht',
  'explained.billPicture':
    'Im Haus: der Zähler, seine Viertelstunden mal ihre Preise, die Summe. An den Versorger geht die Summe.',
  'explained.bill1':
    'Der Zähler zählt, was Sie beziehen und was Sie einspeisen, und hält jede Viertelstunde in einem Protokoll fest, das niemand unbemerkt verändern kann.',
  'explained.bill2':
    'Ihr Versorger veröffentlicht Preise und unterschreibt sie. Ihr Gateway prüft die Unterschrift, bevor es sie verwendet.',
  'explained.bill3':
    'Ihr Gateway nimmt jede Viertelstunde mal ihren Preis und zählt den Monat zusammen. Sie können der Summe auf der Seite beim Wachsen zusehen, Tag für Tag.',
  'explained.bill4':
    'Nach dem Monat geht die Summe an Ihren Versorger, unterschrieben von Ihrem Gateway, und nichts, was zeigt, wie sie zustande kam.',
  'explained.example': 'Ein Beispiel mit zwei Viertelstunden',
  'explained.priceOf': 'Preis je kWh',
  'explained.kwh1': '0,20',
  'explained.price1': '15,0 ct',
  'explained.cost1': '3,0 ct',
  'explained.kwh2': '0,50',
  'explained.price2': '30,0 ct',
  'explained.cost2': '15,0 ct',
  'explained.leaves': 'Nur das verlässt Ihr Haus',
  'explained.costs': '18,0 ct',
  'explained.believe':
    'Warum kann Ihr Versorger das glauben? Ein Sicherheitschip in Ihrem Gateway gibt den Schlüssel des Protokolls nur an freigegebene Software heraus, und eine Prüfstelle fragt Zähler und Gateway immer wieder, was auf ihnen läuft. So müssen Sie nicht Ihren Tag vorzeigen, damit man Ihnen glaubt.',
  'explained.readings': 'Was mit den Viertelstunden geschieht',
  'explained.readingsPicture':
    'Von Ihrem Haus geht ein versiegelter Umschlag an die Sammelstelle; sie kennt die Maske des Absenders, aber nicht den Brief. Der Versorger bekommt den Brief ohne den Umschlag.',
  'explained.readings1':
    'Wer ein Netz betreibt, muss wissen, was ein Gebiet gerade braucht. Darum geht jede Viertelstunde als Brief in einem versiegelten Umschlag hinaus, auf 50 Wh gerundet, wenn Ihr Gateway nicht anders eingestellt ist. Auf dem Umschlag steht ein <strong>Pseudonym</strong>, ein erfundener Name, der jeden Tag wechselt. Die Sammelstelle prüft, ob der Name zu einem echten Zähler gehört, kann den Umschlag aber nicht öffnen.',
  'explained.readings2':
    'Die Sammelstelle entfernt die Namen von den Umschlägen, mischt sie und gibt sie weiter. Der Versorger öffnet sie und zählt sie für ein Gebiet zusammen. Er sieht Zahlen, aber nicht, aus welchem Haus sie kamen.',
  'explained.blind': 'Unterschrieben, ohne gesehen zu werden: Blindsignaturen',
  'explained.blindPicture':
    'Ein Zettel kommt in einen Umschlag mit Kohlepapier, der Umschlag wird gestempelt, und der Zettel, der herauskommt, trägt den Stempel.',
  'explained.blind1':
    'Manches muss jemand bestätigen, der nicht erfahren darf, wofür es verwendet wird. Denken Sie an einen Umschlag, der mit Kohlepapier gefüttert ist: Sie stecken einen Zettel hinein, jemand stempelt den Umschlag von außen, und der Stempel drückt auf den Zettel durch. Sie nehmen den Zettel heraus. Der Stempel ist echt, und doch hat, wer gestempelt hat, den Zettel nie gesehen und erkennt ihn auch später nicht wieder.',
  'explained.blind2':
    'Genau das leistet eine <strong>Blindsignatur</strong>, mit Zahlen statt Papier. Ihr Gateway verwendet sie für seinen täglichen Ausweis: Die Prüfstelle kennt Ihre Adresse und weiß, dass Ihr Zähler in Ordnung ist; sie stempelt einen Ausweis für den Tag, ohne das Pseudonym darauf zu sehen. Die Sammelstelle sieht Pseudonym und Stempel, aber nicht Ihre Adresse.',
  'explained.who': 'Wer was bekommt',
  'explained.party': 'Wer',
  'explained.gets': 'erfährt',
  'explained.never': 'erfährt nicht',
  'explained.providerGets':
    'dass Sie Kunde sind und was Sie im Monat zahlen; die Summen von Gebieten; einzelne Viertelstunden, ohne ihre Herkunft',
  'explained.providerNever': 'welche Viertelstunden Ihre sind',
  'explained.collectorGets':
    'ein Pseudonym des Tages, für welchen Versorger ein Messwert ist, die Zeit und die Netzwerkadresse, von der er kam',
  'explained.collectorNever': 'was in einem Messwert steht; welche Pseudonyme zweier Tage zum selben Haus gehören',
  'explained.thirdParty': 'Vertrauensstelle',
  'explained.thirdPartyGets': 'Ihren Namen und welche Pseudonyme Ihre sind',
  'explained.thirdPartyNever': 'Messwerte und Rechnungen',
  'explained.verifier': 'Prüfstelle',
  'explained.verifierGets': 'die Adresse des Hauses und ob auf Zähler und Gateway freigegebene Software läuft',
  'explained.verifierNever': 'Ihre Pseudonyme, Messwerte und Rechnungen',
  'explained.operatorGets':
    'die Adresse des Hauses, seinen Zähler und die Zählerstände, einmal im Jahr und wenn Versorger oder Bewohner wechseln',
  'explained.operatorNever': 'Ihren Namen, Ihre Monatsrechnung, Ihre Viertelstunden',
  'explained.whoHint':
    'Ein Haushalt, der auch Nachrichten über eine Zwischenstelle schickt, zeigt ihr seine Netzwerkadresse und Umschläge, die alle gleich groß sind.',
  'explained.stays': 'Was in Ihrem Haus bleibt',
  'explained.stays1': 'die laufende Leistung, Sekunde für Sekunde, und der Verlauf Ihrer Tage;',
  'explained.stays2': 'welche Geräte erkannt wurden und die Namen, die Sie ihnen gegeben haben;',
  'explained.stays3': 'Ihre Regeln für Geräte und ob sie befolgt wurden;',
  'explained.stays4':
    'wie Ihre Rechnung zustande kam. Wenn Sie eine Verbindung zu anderen Systemen Ihres Hauses eingeschaltet haben, sehen diese, was Sie sie sehen lassen.',
  'explained.limits': 'Wovor es Sie nicht schützt',
  'explained.limits1':
    'Wenn <strong>Sammelstelle und Versorger</strong> heimlich zusammenarbeiten würden, könnten sie den Tag eines Pseudonyms lesen.',
  'explained.limits2':
    'Würden es <strong>Vertrauensstelle und Sammelstelle</strong> tun, wüssten sie, wem ein Pseudonym gehört.',
  'explained.limits3':
    'Wer die jährlichen Zählerstände und die Monatsrechnungen beide hat, kann das eine vom anderen abziehen.',
  'explained.limits4': 'Wer das Passwort dieser Seite hat, sieht, was Sie sehen.',
};
