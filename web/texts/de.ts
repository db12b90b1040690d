/** German, of the documents that every server shares. Only the customer's page speaks it: what stands behind it is the gateway. */
import type { en } from './en.ts';

export const de: Record<keyof typeof en, string> = {
  language: 'Sprache',
  'login.wrong': 'Das ist nicht das Passwort.',
  'login.waitSeconds': 'Zu viele falsche Passwörter. Versuchen Sie es in {{seconds}} Sekunden wieder.',
  'login.waitMinutes': 'Zu viele falsche Passwörter. Versuchen Sie es in {{minutes}} Minuten wieder.',
  'password.wrong': 'Das jetzige Passwort stimmt nicht. Es wurde nichts geändert.',
  'password.tooShort': 'Das neue Passwort braucht mindestens {{minimum}} Zeichen.',
  'password.tooLong': 'Das neue Passwort darf höchstens {{maximum}} Zeichen haben.',
  'password.differ': 'Die beiden neuen Passwörter sind verschieden.',
  'trust.title': 'Vertrauen Sie diesem Gateway einmal',
  'trust.why':
    'Dieses Gateway spricht mit Ihrem Browser über eine verschlüsselte Verbindung, und keine Firma draußen bürgt dafür: Es hat ein eigenes Zertifikat. Solange Ihr Gerät ihm nicht vertraut, warnen Browser, die Verbindung sei „nicht privat“. Erledigen Sie das einmal auf jedem Gerät.',
  'trust.download': 'Zertifikat herunterladen',
  'trust.compare':
    'Vergleichen Sie seinen Fingerabdruck (SHA-256) mit diesem hier und mit dem, den das Gateway beim ersten Start ausgegeben hat:',
  'trust.add': 'Fügen Sie es auf Ihrem Gerät hinzu:',
  'trust.windows1':
    'Öffnen Sie die heruntergeladene Datei <code>quietmeter-ca.crt</code> und wählen Sie <em>Zertifikat installieren…</em>',
  'trust.windows2':
    'Wählen Sie <em>Aktueller Benutzer</em>, dann <em>Alle Zertifikate in folgendem Speicher speichern</em> und <em>Vertrauenswürdige Stammzertifizierungsstellen</em>.',
  'trust.windows3': 'Stellen Sie den Vorgang fertig, bestätigen Sie die Rückfrage und starten Sie den Browser neu.',
  'trust.mac1':
    'Öffnen Sie die heruntergeladene Datei: Die <em>Schlüsselbundverwaltung</em> legt sie im Schlüsselbund <em>Anmeldung</em> ab.',
  'trust.mac2':
    'Doppelklicken Sie dort auf <em>{{authorityName}}</em>, öffnen Sie <em>Vertrauen</em> und stellen Sie <em>Bei Verwendung dieses Zertifikats</em> auf <em>Immer vertrauen</em>.',
  'trust.mac3': 'Schließen Sie das Fenster, bestätigen Sie mit Ihrem Passwort und laden Sie die Seite neu.',
  'trust.linux1':
    'Im Ordner mit der heruntergeladenen Datei, wenn das Paket <code>libnss3-tools</code> installiert ist:',
  'trust.linux2': 'Starten Sie danach den Browser neu. Für <code>curl</code> und andere Werkzeuge:',
  'trust.firefox': 'Firefox (auf jedem System)',
  'trust.firefox1':
    '<em>Einstellungen</em> → <em>Datenschutz &amp; Sicherheit</em> → <em>Zertifikate anzeigen…</em> → <em>Zertifizierungsstellen</em> → <em>Importieren…</em>',
  'trust.firefox2':
    'Wählen Sie die heruntergeladene Datei, kreuzen Sie <em>Dieser CA vertrauen, um Websites zu identifizieren</em> an und bestätigen Sie.',
  'trust.iphone': 'iPhone und iPad',
  'trust.iphone1': 'Öffnen Sie diese Seite in Safari, laden Sie das Zertifikat herunter und erlauben Sie das Profil.',
  'trust.iphone2':
    '<em>Einstellungen</em> → <em>Allgemein</em> → <em>VPN und Geräteverwaltung</em> → das Profil <em>{{authorityName}}</em> → <em>Installieren</em>.',
  'trust.iphone3':
    '<em>Einstellungen</em> → <em>Allgemein</em> → <em>Info</em> → <em>Zertifikatsvertrauenseinstellungen</em>: dort einschalten.',
  'trust.android1':
    '<em>Einstellungen</em> → nach <em>CA-Zertifikat</em> suchen (unter <em>Sicherheit</em> → <em>Verschlüsselung und Anmeldedaten</em> → <em>Zertifikat installieren</em>).',
  'trust.android2': 'Nehmen Sie die Warnung an und wählen Sie die heruntergeladene Datei.',
  'trust.safe':
    'Ist das sicher? Das Zertifikat gilt nur für Namen und Adressen, die es ausschließlich innerhalb eines Hauses oder einer Firma gibt. Selbst wenn jemand das Gateway stehlen würde, könnte es sich nicht als Ihre Bank ausgeben.',
  'login.title': 'Anmelden',
  'login.password': 'Passwort',
  'login.go': 'Anmelden',
  'login.first':
    'Das erste Passwort wurde einmal angezeigt, dort, wo das Gateway zum ersten Mal gestartet wurde. <a href="/help#forgotten">Vergessen?</a>',
  'login.trust':
    'Warnt Ihr Browser vor dieser Seite? <a href="/help">Vertrauen Sie diesem Gateway einmal</a>, dann nicht mehr.',
  'password.title': 'Passwort ändern',
  'password.current': 'Jetziges Passwort',
  'password.next': 'Neues Passwort, mindestens {{minimum}} Zeichen',
  'password.again': 'Neues Passwort noch einmal',
  'password.others': 'Alle anderen Browser werden abgemeldet. <a href="/">Zurück, ohne etwas zu ändern</a>',
  'forgotten.title': 'Passwort vergessen',
  'forgotten.what':
    'Niemand kann Ihr Passwort lesen, auch das Gateway nicht: Es bewahrt nur eine Prüfsumme davon auf. Wer an das Gateway selbst herankommt, kann ein neues anlegen lassen: Löschen Sie im Datenordner des Gateways <code>web/password.json</code> und starten Sie es neu. Das neue Passwort wird einmal angezeigt, dort, wo es gestartet wird.',
};
