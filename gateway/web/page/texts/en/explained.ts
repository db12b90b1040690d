/** English, of the page that explains bill and privacy. Each sentence is true by docs/threat-model.md. */
export const explained = {
  'explained.title': 'Your bill and your privacy',
  'explained.short': 'In short',
  'explained.short1':
    'Power meters that report every quarter hour can show when somebody is at home, sleeps, cooks or is on holiday. This one is built so that those who need to know <em>how much</em> do not learn <em>whose</em>, and those who know <em>whose</em> do not learn <em>when</em>.',
  'explained.short2':
    'Your bill is computed in your house. Each month one number goes to your provider: what you have to pay.',
  'explained.bill': 'How your bill comes about',
  'explained.billPicture':
    'Inside the house: the meter, its quarter hours times their prices, the sum. To the provider goes the sum.',
  'explained.bill1':
    'The meter counts what you draw and what you feed in, and keeps each quarter hour in a record that cannot be changed unnoticed.',
  'explained.bill2':
    'Your provider publishes prices and signs them. Your gateway checks the signature before it uses them.',
  'explained.bill3':
    'Your gateway multiplies each quarter hour by its price and adds up the month. You can watch the sum grow, day by day, on the page.',
  'explained.bill4':
    'After the month the sum goes to your provider, signed by your gateway, and nothing that shows how it came about.',
  'explained.example': 'An example with two quarter hours',
  'explained.priceOf': 'Price of a kWh',
  'explained.kwh1': '0.20',
  'explained.price1': '15.0 ct',
  'explained.cost1': '3.0 ct',
  'explained.kwh2': '0.50',
  'explained.price2': '30.0 ct',
  'explained.cost2': '15.0 ct',
  'explained.leaves': 'Only this leaves your house',
  'explained.costs': '18.0 ct',
  'explained.believe':
    'Why can your provider believe it? A security chip in your gateway gives the key of the record only to software that was released, and a verifier asks meter and gateway again and again what they run. So you need not show your day in order to be believed.',
  'explained.readings': 'What happens with the quarter hours',
  'explained.readingsPicture':
    'From your house a sealed envelope goes to the collector, which knows the sender’s mask and not the letter. The provider gets the letter without its envelope.',
  'explained.readings1':
    'Whoever runs a grid has to know what an area needs right now. So each quarter hour goes out as a letter in a sealed envelope, rounded to 50 Wh unless your gateway is set otherwise. On the envelope stands a <strong>pseudonym</strong>, a made-up name that changes every day. The collector checks that the name is a real meter’s, but cannot open the envelope.',
  'explained.readings2':
    'The collector takes off the envelopes’ names, shuffles, and hands them on. The provider opens them and adds them up for an area. It sees numbers, but not which house they came from.',
  'explained.blind': 'Signed without being seen: blinding',
  'explained.blindPicture':
    'A slip goes into an envelope lined with carbon paper, the envelope is stamped, and the slip that comes out bears the stamp.',
  'explained.blind1':
    'Some things have to be confirmed by somebody who must not learn what they are used for. Think of an envelope lined with carbon paper: you put in a slip, somebody stamps the envelope from outside, and the stamp goes through onto the slip. You take out the slip. The stamp is real, and yet whoever stamped has never seen the slip, and will not recognise it later.',
  'explained.blind2':
    'That is what <strong>blinding</strong> does, with numbers instead of paper. Your gateway uses it for its daily pass: the verifier knows your address and that your meter is in order, and stamps a pass for the day without seeing the pseudonym on it. The collector sees pseudonym and stamp, but not your address.',
  'explained.who': 'Who gets what',
  'explained.party': 'Who',
  'explained.gets': 'gets to know',
  'explained.never': 'does not learn',
  'explained.providerGets':
    'that you are a customer, and what you pay per month; the sums of areas; single quarter hours, without where they came from',
  'explained.providerNever': 'which quarter hours are yours',
  'explained.collectorGets':
    'a pseudonym of the day, which provider a reading is for, the time, and the network address that it came from',
  'explained.collectorNever': 'what is in a reading; which pseudonyms of two days are one house',
  'explained.thirdParty': 'Trusted third party',
  'explained.thirdPartyGets': 'your name and which pseudonyms are yours',
  'explained.thirdPartyNever': 'a reading or a bill',
  'explained.verifier': 'Verifier',
  'explained.verifierGets': 'the address of the house, and whether meter and gateway run released software',
  'explained.verifierNever': 'your pseudonyms, readings and bills',
  'explained.operatorGets':
    'the address of the house, its meter, and the registers once a year and when provider or people change',
  'explained.operatorNever': 'your name, your monthly bill, your quarter hours',
  'explained.whoHint':
    'A household that also sends messages through a relay shows it its network address, and envelopes that are all of one size.',
  'explained.stays': 'What stays in your house',
  'explained.stays1': 'live power, second by second, and the course of your days;',
  'explained.stays2': 'which appliances were found, and the names that you gave them;',
  'explained.stays3': 'your rules for appliances, and whether they were obeyed;',
  'explained.stays4':
    'how your bill came about. If you have turned on a connection to other systems of your home, they see what you let them see.',
  'explained.limits': 'What it does not protect you from',
  'explained.limits1':
    'If <strong>collector and provider</strong> worked together in secret, they could read the day of a pseudonym.',
  'explained.limits2':
    'If <strong>trusted third party and collector</strong> did, they would know whose pseudonym it is.',
  'explained.limits3': 'Who has both the yearly registers and the monthly bills can subtract one from the other.',
  'explained.limits4': 'Whoever has the password of this page sees what you see.',
};
