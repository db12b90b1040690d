/** English, of the documents that every server shares. HTML; `{{machine}}` is what stands behind the page. */
export const en = {
  language: 'Language',
  'login.wrong': 'That is not the password.',
  'login.waitSeconds': 'Too many wrong passwords. Try again in {{seconds}} seconds.',
  'login.waitMinutes': 'Too many wrong passwords. Try again in {{minutes}} minutes.',
  'password.wrong': 'The current password is not right. Nothing was changed.',
  'password.tooShort': 'The new password needs at least {{minimum}} letters.',
  'password.tooLong': 'The new password may have at most {{maximum}} letters.',
  'password.differ': 'The two new passwords differ.',
  'trust.title': 'Trust this {{machine}} once',
  'trust.why':
    'This {{machine}} talks to your browser through an encrypted connection, and no company outside vouches for it: it has a certificate of its own. Until you tell your device to trust it, browsers warn that the page is “not private”. Do this once on each device.',
  'trust.download': 'Download the certificate',
  'trust.compare':
    'Compare its fingerprint (SHA-256) with this, and with what the {{machine}} printed where it was started:',
  'trust.add': 'Add it on your device:',
  'trust.windows1': 'Open the downloaded file <code>quietmeter-ca.crt</code> and choose <em>Install Certificate…</em>',
  'trust.windows2':
    'Choose <em>Current User</em>, then <em>Place all certificates in the following store</em>, and <em>Trusted Root Certification Authorities</em>.',
  'trust.windows3': 'Finish, confirm the question, and restart the browser.',
  'trust.mac1': 'Open the downloaded file: <em>Keychain Access</em> adds it to the <em>login</em> keychain.',
  'trust.mac2':
    'There, double-click <em>{{authorityName}}</em>, open <em>Trust</em>, and set <em>When using this certificate</em> to <em>Always Trust</em>.',
  'trust.mac3': 'Close the window, confirm with your password, and reload the page.',
  'trust.linux1': 'In the folder with the downloaded file, with the package <code>libnss3-tools</code> installed:',
  'trust.linux2': 'Then restart the browser. For <code>curl</code> and other tools:',
  'trust.firefox': 'Firefox (any system)',
  'trust.firefox1':
    '<em>Settings</em> → <em>Privacy &amp; Security</em> → <em>View Certificates…</em> → <em>Authorities</em> → <em>Import…</em>',
  'trust.firefox2': 'Choose the downloaded file, tick <em>Trust this CA to identify websites</em>, and confirm.',
  'trust.iphone': 'iPhone and iPad',
  'trust.iphone1': 'Open this page in Safari, download the certificate, and allow the profile.',
  'trust.iphone2':
    '<em>Settings</em> → <em>General</em> → <em>VPN &amp; Device Management</em> → the profile <em>{{authorityName}}</em> → <em>Install</em>.',
  'trust.iphone3':
    '<em>Settings</em> → <em>General</em> → <em>About</em> → <em>Certificate Trust Settings</em>: switch it on.',
  'trust.android1':
    '<em>Settings</em> → search for <em>CA certificate</em> (under <em>Security</em> → <em>Encryption &amp; credentials</em> → <em>Install a certificate</em>).',
  'trust.android2': 'Accept the warning and choose the downloaded file.',
  'trust.safe':
    'Is that safe? The certificate is limited to names and addresses that exist only inside a home or a company. Even if someone stole the {{machine}}, it could not pretend to be your bank.',
  'login.title': 'Log in',
  'login.password': 'Password',
  'login.go': 'Log in',
  'login.first':
    'The first password was shown once, where the {{machine}} was first started. <a href="/help#forgotten">Forgotten?</a>',
  'login.trust':
    'Does your browser warn about this page? <a href="/help">Trust this {{machine}} once</a> and it will not again.',
  'password.title': 'Change password',
  'password.current': 'Current password',
  'password.next': 'New password, at least {{minimum}} letters',
  'password.again': 'New password again',
  'password.others': 'Every other browser is logged out. <a href="/">Back without changing</a>',
  'forgotten.title': 'Password forgotten',
  'forgotten.what':
    "Nobody can read your password, not even the {{machine}}: it keeps only a hash. Whoever can reach the {{machine}} itself can have a new one made: delete <code>web/password.json</code> in the {{machine}}'s data folder and restart it. The new password is shown once, where it is started.",
};
